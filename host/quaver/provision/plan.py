"""The provisioning room's plan: many nodes from one CSV file, each mistake reported by its row."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quaver.broker.address import parse_broker_url
from quaver.errors import BrokerError, SessionError
from quaver.files.csv_rows import Column, Mistake, bearing, choice, node_id, number, place_part, read_rows
from quaver.files.private import read_private
from quaver.fleet.inventory import Inventory
from quaver.provision.flow import PLACE, TIME_SERVER, Answers, limits, time_server
from quaver.provision.identity import CodeError, Codes, normal

_FILE_MAX = 1 << 20


def _code(text: str) -> str:
    try:
        return normal(text)
    except CodeError as error:
        raise ValueError(str(error)) from error


COLUMNS = {
    "id": Column(node_id, required=True),
    "name": Column(place_part, required=True),
    "site": Column(place_part),
    "area": Column(place_part),
    "line": Column(place_part),
    "asset": Column(place_part, required=True),
    "code": Column(_code),
    "wifi": Column(str),
    "broker": Column(str),
    "time_server": Column(time_server),
    "group": Column(choice("0", "1", "2")),
    "mounting": Column(choice("rigid", "flexible")),
    "bearing": Column(bearing),
    "rpm": Column(number(1, 60000, " 1/min")),
    "limits": Column(limits),
}


def read_profiles(path: Path) -> dict[str, dict[str, str]]:
    """Wi-Fi networks by a name of one's own, out of a TOML file of mode 0600: [plant] ssid = "…", password = "…",
    and time_server = "…" where that network has its own ("" for none).

    A file that does not exist has none. Raises SessionError.
    """
    data = read_private(path, _FILE_MAX, SessionError)
    if data is None:
        return {}
    try:
        found = tomllib.loads(data.decode())
        for name, profile in found.items():
            keys = set(profile) - {"time_server"}
            if keys != {"ssid", "password"} or not all(isinstance(value, str) for value in profile.values()):
                raise SessionError(f"{path}: {name}: expected ssid, password and perhaps time_server, each a text")
            if "time_server" in profile:
                profile["time_server"] = _server(path, name, profile["time_server"])
        return found
    except (ValueError, TypeError, RecursionError):
        raise SessionError(f"{path}: can't be read as TOML; it has a table for each network") from None


def _server(path: Path, name: str, text: str) -> str:
    try:
        return time_server(text or "none")
    except ValueError as error:
        raise SessionError(f"{path}: {name}: time_server: {error}") from error


def read_plan(
    path: Path,
    profiles: Mapping[str, Mapping[str, str]],
    codes: Codes,
    inventory: Inventory,
    broker: str | None = None,
) -> tuple[list[tuple[int, Answers]], list[Mistake]]:
    """The rows that can be carried out, (row, answers for a Flow), and the mistakes in the others, by row.

    broker: for rows that name none; a single Wi-Fi profile likewise. Raises InventoryError when it is no such file.
    """
    rows, mistakes = read_rows(path, COLUMNS)
    known = dict(codes)
    entries = inventory.entries()
    ids: dict[bytes, int] = {}
    prefixes = {entry.prefix: (0, entry.id) for entry in entries if entry.state != "retired"}
    good = []
    for row, values in rows:
        wrong: list[Mistake] = []
        node = values["id"]
        if node in ids:
            wrong.append(Mistake(row, "id", f"is also in row {ids[node]}"))
        ids.setdefault(node, row)
        answers = _answers(row, values, profiles=profiles, codes=known, broker=broker, wrong=wrong)
        prefix = "/".join(answers[key] for key in PLACE)
        at, owner = prefixes.get(prefix, (0, node))
        if owner != node:
            where = f"row {at}" if at else f"the inventory, node {owner.hex()}"
            wrong.append(Mistake(row, "name", f"topic prefix {prefix} is also in {where}"))
        elif not wrong:
            prefixes[prefix] = (row, node)
        mistakes += wrong
        if not wrong:
            good.append((row, answers))
    return good, sorted(mistakes, key=lambda mistake: (mistake.row, mistake.column))


def identities(path: Path) -> dict[int, bytes]:
    """The node of each row whose cells are right. Raises InventoryError."""
    return {row: values["id"] for row, values in read_rows(path, COLUMNS)[0]}


def _answers(
    row: int,
    values: Mapping[str, Any],
    profiles: Mapping[str, Mapping[str, str]],
    codes: Mapping[bytes, str],
    broker: str | None,
    wrong: list[Mistake],
) -> Answers:
    """The answers that a row gives; what keeps it from being carried out goes to `wrong`."""
    answers: Answers = {key: values.get(key, key) for key in ("site", "area", "line")}
    answers |= {"asset": values["asset"], "name": values["name"], "id": values["id"].hex()}
    code = values.get("code") or codes.get(values["id"])
    if code is None:
        wrong.append(Mistake(row, "code", "is missing, and the node was not flashed here"))
    elif values["id"] in codes and codes[values["id"]] != code:
        wrong.append(Mistake(row, "code", "is not the one that the node was flashed with"))
    name = values.get("wifi") or (next(iter(profiles)) if len(profiles) == 1 else None)
    if name is None:
        wrong.append(Mistake(row, "wifi", "is missing"))
    elif name not in profiles:
        wrong.append(Mistake(row, "wifi", f"is not a Wi-Fi profile: there are {', '.join(profiles) or 'none'}"))
    else:
        answers |= {"ssid": profiles[name]["ssid"], "password": profiles[name]["password"]}
    given = profiles.get(name or "", {}).get("time_server", TIME_SERVER)
    answers["time_server"] = values.get("time_server", given)
    url = values.get("broker") or broker
    if url is None:
        wrong.append(Mistake(row, "broker", "is missing; name one for all with --broker"))
    elif "broker" in values:
        try:
            parse_broker_url(url)
        except BrokerError as error:
            wrong.append(Mistake(row, "broker", str(error)))
    group = int(values.get("group", "0"))
    answers |= {"code": code, "broker": url, "group": group, "mounting": values.get("mounting", "rigid")}
    answers |= {"bearing": values.get("bearing"), "rpm": values.get("rpm", 0.0), "limits": values.get("limits", {})}
    return answers
