"""The spectrum records of a store: one node's over time, as a waterfall draws them, and its last one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from quaver.errors import StoreError
from quaver.store.schema import HAS_SPECTRUM
from quaver.store.store import Store

_SPECTRA = f"""
SELECT topic, boot, seq, time_ms, dated_by, body FROM dated d
WHERE node = ? AND {HAS_SPECTRUM} AND time_ms BETWEEN ? AND ? ORDER BY boot {{order}}, seq {{order}} LIMIT ?
"""  # noqa: S608  all of it is ours
_ONE = f"""
SELECT topic, boot, seq, time_ms, dated_by, body FROM dated d
WHERE node = ? AND {HAS_SPECTRUM} AND boot = ? AND seq = ?
"""  # noqa: S608  and this
_EVER_MS = (1 << 63) - 1
_BINS = 256


@dataclass(frozen=True)
class Spectrum:
    """A spectrum record. spectrum, envelope: 256 levels each, in the bins of quaver_wire.spectrum up to spectrum_hz and
    envelope_hz; band_hz: of the envelope, None when it does not say.

    marks_hz: of the shaft, BPFO, BPFI, 2 x BSF and FTF, as far as they were known. time_ms: since 1970, by the node's
    clock or by what dated_by says, as in the view `dated`. level: 0 ok, 1 warning, 2 alarm; quality: bits.
    """

    topic: str
    boot: int
    seq: int
    time_ms: int
    dated_by: str
    level: int
    quality: int
    spectrum: bytes
    envelope: bytes
    spectrum_hz: float
    envelope_hz: float
    band_hz: tuple[float, float] | None
    marks_hz: tuple[float | None, ...]


def spectra(store: Store, node_id: str, since_ms: int = 0, until_ms: int = _EVER_MS) -> Iterator[Spectrum]:
    """The spectra of a node, oldest first, with dates from since_ms to until_ms; a record that is none is left out.

    node_id: as the view `dated` has it: 16 digits, or the name in hexadecimal of a node that seals nothing. Raises
    StoreError.
    """
    rows = store.query(_SPECTRA.format(order="ASC"), (node_id, since_ms, until_ms, _EVER_MS))
    return filter(None, map(_read, rows))


def last_spectrum(store: Store, node_id: str) -> Spectrum | None:
    """The newest of `spectra`, or None. Raises StoreError."""
    rows = store.query(_SPECTRA.format(order="DESC"), (node_id, 0, _EVER_MS, 8))
    return next(filter(None, map(_read, rows)), None)


def spectrum_of(store: Store, node_id: str, boot: int, seq: int) -> Spectrum | None:
    """The one of that number, or None. Raises StoreError."""
    return next(filter(None, map(_read, store.query(_ONE, (node_id, boot, seq)))), None)


def find_node(store: Store, name: str) -> str:
    """The id, as `spectra` takes it, of the node of that name or id. Raises StoreError for none, and for several."""
    nodes = [node for node in store.nodes() if name.lower() == node.id.hex() or name == node.topic.rpartition("/")[2]]
    if not nodes:
        raise StoreError(f"{store.name}: has no record of a node {name}; quaver ledger lists its nodes")
    if len(nodes) > 1:
        ids = ", ".join(node.id.hex() for node in nodes)
        raise StoreError(f"{store.name}: has several nodes {name}; name one of them by its id: {ids}")
    return nodes[0].id.hex()


def _read(row: tuple[Any, ...]) -> Spectrum | None:
    topic, boot, seq, time_ms, dated_by, body = row
    values = json.loads(body)
    try:
        found = Spectrum(
            topic=topic,
            boot=boot,
            seq=seq,
            time_ms=time_ms,
            dated_by=dated_by,
            level=values.get("level", 0),
            quality=values.get("quality", 0),
            spectrum=bytes.fromhex(values["spectrum"]),
            envelope=bytes.fromhex(values["envelope_spectrum"]),
            spectrum_hz=float(values["spectrum_hz"]),
            envelope_hz=float(values["envelope_spectrum_hz"]),
            band_hz=(values["band_low_hz"], values["band_high_hz"]) if "band_high_hz" in values else None,
            marks_hz=tuple(values.get("marks_hz", ())),
        )
    except (KeyError, ValueError, TypeError):
        return None
    whole = len(found.spectrum) == len(found.envelope) == _BINS and min(found.spectrum_hz, found.envelope_hz) > 0
    return found if whole else None
