"""Commands that people send to nodes through the page, and what came of them; kept until the page ends.

Each waits for its answer in a thread of its own turn; a node that is away is told when it is back, as long as the
command may be obeyed. What a node answers is in the store too, where ingest hears it: a waveform is drawn from there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from quaver.broker.address import BrokerUrl
from quaver.errors import PageError, QuaverError
from quaver.fleet import procedures, waveform
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator

_AT_ONCE = 4
_WAIT_S = 60.0
_KEPT = 50  # of a node
_WAITING = 100  # of all nodes
_UNFORESEEN = "the page failed at this; its log on the server says why"


@dataclass(frozen=True)
class Operation:
    """state: waiting, answered or failed. answer: what the node said; error: why it is not done, in one line."""

    id: int
    name: str
    who: str
    sent_ms: int
    state: str = "waiting"
    answer: Any = None
    error: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)


def _fetch(node: Operator, alarm: bool) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        found = waveform.fetch(node, Path(folder) / "waveform.npz", lambda done, total: None, alarm)
    return {"samples": len(found.samples), "rate_hz": found.rate_hz}


def _set_config(node: Operator, args: Mapping[str, Any]) -> str:
    procedures.set_config(node, args["changes"])
    return "is back, and uses the new configuration"


# What may be sent: the scope that it takes, its arguments, and how it is done.
VERBS: Mapping[str, tuple[str, tuple[str, ...], Callable[[Operator, Mapping[str, Any]], Any]]] = {
    "identify": ("commands", (), lambda node, args: node.ask("identify") or "blinks"),
    "measure": ("commands", (), lambda node, args: node.ask("measure")),
    "waveform": ("commands", (), lambda node, args: _fetch(node, False)),
    "alarm_waveform": ("commands", (), lambda node, args: _fetch(node, True)),
    "relearn": ("configure", (), lambda node, args: node.ask("relearn") or "learns its baseline again"),
    "config_get": ("configure", (), lambda node, args: procedures.read_config(node)),
    "config_set": ("configure", ("changes",), _set_config),
}


class Commands:
    """keys: of the nodes. url, ca: of the broker. clock_ms: since 1970. failed: hears of what nobody foresaw."""

    def __init__(
        self,
        keys: KeyStore,
        url: BrokerUrl,
        ca: Path | None,
        clock_ms: Callable[[], int],
        failed: Callable[[Exception], None] = lambda error: None,
    ) -> None:
        self._keys, self._url, self._ca, self._clock_ms, self._failed = keys, url, ca, clock_ms, failed
        self._workers = ThreadPoolExecutor(_AT_ONCE, "command")
        self._lock = threading.Lock()
        self._kept: dict[str, deque[Operation]] = {}
        self._last = 0
        self._waiting = 0

    def send(self, node: str, name: str, args: Mapping[str, Any], who: str) -> int:
        """Its number. node: the id in hexadecimal. Raises PageError."""
        if set(args) != set(VERBS[name][1]):
            raise PageError(f"{name}: expected {', '.join(VERBS[name][1]) or 'no'} arguments")
        with self._lock:
            if self._waiting >= _WAITING:
                raise PageError(f"{_WAITING} commands wait already; try again when nodes have answered", 503)
            self._waiting += 1
            self._last += 1
            one = Operation(self._last, name, who, self._clock_ms(), args=dict(args))
            self._kept.setdefault(node, deque(maxlen=_KEPT)).appendleft(one)
        self._workers.submit(self._do, node, one)
        return one.id

    def listed(self, node: str) -> list[Operation]:
        """The newest first."""
        with self._lock:
            return list(self._kept.get(node, ()))

    def config(self, node: str) -> dict[str, Any] | None:
        """The node's configuration, as it was last asked for here and not changed since."""
        found = self.config_read(node)
        return None if found is None else dict(found.answer)

    def config_read(self, node: str) -> Operation | None:
        """The command that read it last, where nothing was set since."""
        for one in self.listed(node):
            if one.name == "config_set":
                return None
            if one.name == "config_get" and one.state == "answered":
                return one
        return None

    def close(self) -> None:
        """What waits for its turn is not sent any more; who waits for an answer is left behind."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _do(self, node: str, one: Operation) -> None:
        try:
            with Operator(self._url, self._keys, node, self._ca, timeout_s=_WAIT_S) as operator:
                done = replace(one, state="answered", answer=VERBS[one.name][2](operator, one.args))
        except QuaverError as error:
            done = replace(one, state="failed", error=" ".join(str(error).split()))
        except Exception as error:  # a thread that ended without a word would let the page wait for ever
            self._failed(error)
            done = replace(one, state="failed", error=_UNFORESEEN)
        with self._lock:
            self._waiting -= 1
            kept = self._kept[node]
            for place, other in enumerate(kept):
                if other.id == one.id:
                    kept[place] = done
