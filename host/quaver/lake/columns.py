"""A record as a row of the lake: which columns there are, and what of a record stands in them.

Each number that a record can have is a column under its own name, null where a record has it not; a dot of a group is
an underscore (`energy_power_w`). What has no column is JSON in `more`, so that nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from quaver.messages.quantities import QUANTITIES
from quaver.messages.record import CODES
from quaver.query.source import Reading
from quaver_wire.spectrum import amplitude_g

_PLACE = ("site", "area", "line", "asset", "node")
_SPECTRA = ("spectrum", "envelope_spectrum")
_TEXTS = ("subject", "text", "firmware", "board", "abstained")
_NUMBERS = {path: path.replace(".", "_") for path in QUANTITIES} | {name: name for name in ("value", "limit")}
_WORDS = pa.dictionary(pa.int32(), pa.string())
_MOMENT = pa.timestamp("ms", tz="UTC")
_NUMBER = (int, float)
# By a field's name, what stands as it is in the column of that name.
_COLUMNS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(_NUMBERS, _NUMBER),
    **dict.fromkeys((*CODES, *_TEXTS), (str,)),
    **dict.fromkeys(("uptime_ms", "version"), (int,)),
    "quality": (list,),
}
_DATES_MS = (-62_135_596_800_000, 253_402_300_799_999)  # years 1 to 9999, which every reader knows

_NO_DAY = "__HIVE_DEFAULT_PARTITION__"  # which readers of such folders take for null

# `site` is the folder's, and stands in the file no more.
SCHEMA = pa.schema(
    [
        ("kind", _WORDS),
        ("id", _WORDS),
        *((name, _WORDS) for name in _PLACE[1:]),
        ("boot", pa.int64()),
        ("seq", pa.int32()),
        ("time", _MOMENT),
        ("dated_by", _WORDS),
        ("received", _MOMENT),
        ("uptime_ms", pa.int64()),
        ("version", pa.int64()),
        *((name, _WORDS) for name in CODES),
        ("quality", pa.list_(pa.string())),
        *((name, pa.float64()) for name in _NUMBERS.values()),
        *((name, pa.string()) for name in _TEXTS),
        *((name, pa.list_(pa.float32())) for name in _SPECTRA),
        ("more", pa.string()),
    ]
)


def row_of(reading: Reading) -> tuple[str, str, dict[str, Any]]:
    """(site, day, columns) of a reading. The day, UTC, is of its measurement; where nothing dates it, of receipt."""
    place = dict(zip(_PLACE, reading.topic.split("/"), strict=True))
    site = place.pop("site")
    time_ms, received_ms = _moment(reading.time_ms), _moment(reading.received_ms)
    row: dict[str, Any] = {
        "kind": reading.kind,
        "id": reading.node,
        **place,
        "boot": reading.place.boot,
        "seq": reading.place.seq,
        "time": time_ms,
        "dated_by": reading.dated_by,
        "received": received_ms,
    }
    more: dict[str, Any] = {}
    for name, value in reading.values.items():
        _put(row, more, name, value)
    if more:
        row["more"] = orjson.dumps(more).decode()
    of_day = received_ms if time_ms is None else time_ms
    day = _NO_DAY if of_day is None else datetime.fromtimestamp(of_day / 1000, UTC).date().isoformat()
    return site, day, row


def _moment(ms: int | None) -> int | None:
    return ms if ms is not None and _DATES_MS[0] <= ms <= _DATES_MS[1] else None


def _put(row: dict[str, Any], more: dict[str, Any], name: str, value: Any) -> None:
    """Put one field of a record into its column, or into `more` where it has none or is not of the column's kind."""
    if isinstance(value, Mapping):
        for inner, number in value.items():
            column = _NUMBERS.get(f"{name}.{inner}")
            if column is not None and type(number) in _NUMBER:
                row[column] = number
            else:
                more.setdefault(name, {})[inner] = number
    elif name in _SPECTRA and isinstance(value, str):
        row[name] = [amplitude_g(level) for level in bytes.fromhex(value)]
    elif type(value) in _COLUMNS.get(name, ()):
        row[name] = value
    elif name != "time_ms" or value != row["time"]:
        more[name] = value
