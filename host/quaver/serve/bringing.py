"""Bringing nodes into service, as the page sees it: labels that were scanned, the list to carry out, the runs.

`quaver provision` does the work, where the cable or the radio is. It reads the list as a plan, `plan.csv` of the page's
state folder, and tells how far it is in a file beside the inventory. Codes of labels are in private files alone.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from quaver.errors import PageError
from quaver.files.csv_rows import node_id
from quaver.files.private import read_private, write_private
from quaver.fleet.inventory import Entry, Inventory
from quaver.provision.flow import PLACE
from quaver.provision.identity import CodeError, Codes, normal, scanned
from quaver.provision.plan import COLUMNS
from quaver.provision.runs import DONE, WORKING, Run, Runs, runs_path
from quaver.query.nodes import NodeRow

LIST, PLAN = "bringing.json", "plan.csv"
SETTINGS = ("name", "asset", "site", "area", "line", "group", "mounting", "bearing", "rpm", "wifi")
_FILE_MAX = 4 << 20
_MOST = 1000  # nodes on the list
_TEXT_MAX = 200
_DONE_S = 7 * 86_400  # how long a run that is done is shown
_LOOK_S = 1.0
_FORMULA = tuple("=+-@'\"")  # by which a spreadsheet takes a cell for more than text


@dataclass(frozen=True)
class Planned:
    """One node of the list. settings: texts as the plan's columns take them, without empty ones. since: s since 1970,
    when it was put there. The code stays out of every repr."""

    node: str
    settings: Mapping[str, str]
    since: float
    who: str
    code: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """Its topic prefix."""
        return "/".join(self.settings.get(key, key) for key in PLACE)


@dataclass(frozen=True)
class Node:
    """What is known of a node, by its id. heard_ms: when a record of it was received last."""

    node: str
    planned: Planned | None
    entry: Entry | None
    run: Run | None
    row: NodeRow | None
    heard_ms: int | None


class Bringing:
    """folder: the page's state. inventory: its file, which may be missing. codes: of the nodes that were flashed here,
    where the page may know them. changed: called in a thread of its own, when something of this is new. now: the date,
    s since 1970.

    Everything raises QuaverError.
    """

    def __init__(
        self,
        folder: Path,
        inventory: Path,
        codes: Codes | None = None,
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.plan_path, self._now = folder / PLAN, now
        self._list_path, self._inventory, self._codes, self._changed = folder / LIST, inventory, codes, changed
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="bringing", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        paths = (self._list_path, self._inventory, runs_path(self._inventory))
        before: list[int] | None = None
        while not self._over.wait(_LOOK_S):
            now = [path.stat().st_mtime_ns if path.exists() else 0 for path in paths]
            if before not in (None, now):
                self._changed()
            before = now

    def read(self, text: str, node: str = "") -> tuple[str, str | None]:
        """(node's id, code) of a label: its QR code's text, or the id and perhaps the code as somebody types them."""
        try:
            if ":" in text and not node:
                identity, code = scanned(text.upper())
                found: str | None = code
            else:
                identity = node_id(re.sub(r"\s", "", node))
                found = normal(text) if text.strip() else None
        except (CodeError, ValueError) as error:
            raise PageError(str(error)) from None
        known = self._codes.get(identity) if self._codes else None
        if known and found and known != found:
            raise PageError(
                "this is not the code that the node was flashed with: the label is another node's, or a false one", 409
            )
        return identity.hex(), found or known

    def listed(self) -> list[Planned]:
        """The list, as it was put together, without the nodes that are in service since then."""
        with self._lock:
            return self._left(self._load(), self._runs())

    def nodes(self, rows: Sequence[NodeRow]) -> list[Node]:
        """Every node that is on the list, is enrolled but not in service, or had a run; what is new first.

        rows: what the store knows of nodes.
        """
        known = self._known(rows)
        long_ago = self._now() - _DONE_S
        wanted = {
            **known.planned,
            **{node: run for node, run in known.runs.items() if run.state != DONE or run.since > long_ago},
            **{node: entry for node, entry in known.entries.items() if entry.state == "enrolled"},
        }
        found = [known.node(node) for node in wanted]
        return sorted(found, key=lambda one: -max(one.run.since if one.run else 0, _since(one.planned)))

    def node(self, node: str, rows: Sequence[NodeRow]) -> Node:
        """What is known of one node, which may be nothing."""
        return self._known(rows).node(node)

    def _known(self, rows: Sequence[NodeRow]) -> _Known:
        runs = self._runs()
        with self._lock:
            planned = self._left(self._load(), runs)
        return _Known(
            {one.node: one for one in planned},
            {entry.id.hex(): entry for entry in self._entries()},
            {run.node.hex(): run for run in runs},
            {row.node: row for row in rows},
        )

    def put(self, node: str, code: str | None, settings: Mapping[str, str], who: str) -> Planned:
        """Put a node on the list, or change what is there; a code that it has stays where none is given."""
        given = {name: _checked(name, settings.get(name, "")) for name in SETTINGS}
        made = Planned(node, {name: text for name, text in given.items() if text}, self._now(), who, code)
        for name in ("name", "asset"):
            if name not in made.settings:
                raise PageError(f"{name}: is missing")
        with self._lock:
            before = self._left(self._load(), self._runs())
            for entry in self._entries():
                if entry.prefix == made.place and entry.state != "retired" and entry.id.hex() != node:
                    raise PageError(f"topic prefix {made.place} belongs to node {entry.id.hex()}; choose another", 409)
            for other in before:
                if other.node == node:
                    made = replace(made, code=code or other.code)
                elif other.place == made.place:
                    raise PageError(f"topic prefix {made.place} is on the list for node {other.node}", 409)
            rest = [other for other in before if other.node != node]
            if len(rest) >= _MOST:
                raise PageError(f"{_MOST} nodes are on the list; bring some of them into service first", 409)
            self._save([*rest, made])
        return made

    def remove(self, node: str) -> None:
        """Take a node from the list, and what is known of a run that is over. The node itself is not touched."""
        with self._lock:
            known = self._runs()
            before = self._left(self._load(), known)
            rest = [one for one in before if one.node != node]
            run = next((run for run in known if run.node.hex() == node), None)
            if run is not None and run.state == WORKING:
                raise PageError("quaver provision works on this node now; wait until it is done", 409)
            if run is None and len(rest) == len(before):
                raise PageError("this node is not on the list", 404)
            if run is not None:
                with Runs(runs_path(self._inventory)) as runs:
                    runs.forget(run.node)
            self._save(rest)

    def _load(self) -> list[Planned]:
        data = read_private(self._list_path, _FILE_MAX, PageError)
        if data is None:
            return []
        try:
            return [Planned(**one) for one in json.loads(data)]
        except (ValueError, TypeError):
            raise PageError(f"{self._list_path}: can't be read; remove it to begin a new list", 503) from None

    def _save(self, rows: Sequence[Planned]) -> None:
        write_private(self._list_path, json.dumps([asdict(row) for row in rows]).encode(), PageError)
        write_private(self.plan_path, plan_csv(rows, codes=True).encode(), PageError)

    def _left(self, rows: list[Planned], runs: Sequence[Run]) -> list[Planned]:
        """Without what is done, also in the files: a plan that is carried out again would enrol those nodes anew."""
        done = {run.node.hex(): run.since for run in runs if run.state == DONE}
        left = [row for row in rows if done.get(row.node, 0) < row.since]
        if len(left) < len(rows):
            self._save(left)
        return left

    def _runs(self) -> list[Run]:
        path = runs_path(self._inventory)
        if not path.exists():
            return []
        with Runs(path) as runs:
            return runs.all()

    def _entries(self) -> list[Entry]:
        if not self._inventory.exists():
            return []
        with Inventory(self._inventory) as inventory:
            return inventory.entries()


def plan_csv(rows: Sequence[Planned], codes: bool) -> str:
    """The list as `quaver provision --from` reads it. codes: with those of the labels, for a private file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    columns = ["id", *SETTINGS, *(["code"] if codes else [])]
    writer.writerow(columns)
    for row in rows:
        values = {"id": row.node, "code": row.code or "", **row.settings}
        writer.writerow([_cell(values.get(column, "")) for column in columns])
    return out.getvalue()


def _cell(text: str) -> str:
    """Behind the sign for text where a spreadsheet would take it for a formula or a number; the plan reads it so."""
    return f"'{text}" if text.startswith(_FORMULA) or re.fullmatch(r"[0-9]{9,}|[0-9]+e[0-9]+", text) else text


def _checked(name: str, text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    try:
        if len(text) > _TEXT_MAX or not text.isprintable():
            raise ValueError(f"expected at most {_TEXT_MAX} printable characters")
        COLUMNS[name].parse(text)
    except ValueError as error:
        raise PageError(f"{name}: {error}") from None
    with contextlib.suppress(CodeError):
        normal(text)
        raise PageError(f"{name}: this is a label's code, which belongs into its own field alone")
    return text


def _since(planned: Planned | None) -> float:
    return planned.since if planned else 0.0


@dataclass(frozen=True)
class _Known:
    """All that is known of nodes, by their ids."""

    planned: Mapping[str, Planned]
    entries: Mapping[str, Entry]
    runs: Mapping[str, Run]
    rows: Mapping[str, NodeRow]

    def node(self, node: str) -> Node:
        entry, row = self.entries.get(node), self.rows.get(node)
        heard = max((row.last_ms or 0) if row else 0, 1000 * (entry.seen or 0) if entry else 0)
        return Node(node, self.planned.get(node), entry, self.runs.get(node), row, heard or None)
