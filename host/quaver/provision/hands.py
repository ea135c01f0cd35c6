"""The provisioning room's actions: the work behind the dialogue, with real ports, keys and an inventory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

from quaver.board.spec import board_names, load_board
from quaver.broker.address import parse_broker_url
from quaver.errors import InventoryError, SessionError
from quaver.fleet.inventory import Entry, Inventory
from quaver.fleet.keys import INHERIT, KeyStore
from quaver.provision.flow import Answers, config, has_wifi
from quaver.provision.identity import Codes
from quaver.provision.session import Refused, Session, Transport, who
from quaver_wire.hkdf import hmac

_JOIN_S = 45.0
_FIRST = (
    "rms_g",
    "peak_g",
    "velocity_mm_s",
    "zone",
    "temperature_c",
    "rate_hz",
    "peaks",
    "bands",
    "machine",
    "learned",
)
_LOOKS_S = (1.0, 5.0, 5.0)  # each port gets so long: one that resets its board at once, one that is powered meanwhile


class ClosableTransport(Transport, Protocol):
    def close(self) -> None: ...


class Ear(Protocol):
    """Hears what one node publishes, from when it was made on."""

    def wait(self, kind: str, timeout: float) -> Mapping[str, Any] | None:
        """The fields of its first record of `kind` (of status: that says online), or None after `timeout` seconds."""
        ...

    def close(self) -> None: ...


class Hands:
    """ports: where nodes may be; connect: opens one. listen: makes an Ear of a broker, a topic prefix, a node's id
    and the generation of its key: what the node said under an earlier one, and what the broker keeps of it, says
    nothing.

    seen: where -> (id, whether it is enrolled), of nodes that say so unasked.

    lock: shared by those who work at once with the same files.

    broker: the nodes' broker as this machine reaches it, where that is another address than theirs.

    days: after which the keys that are made expire, None for never; by default as the node's key before it, or never.

    Each verb takes the answers and returns the step's result; it raises QuaverError with one line.
    """

    def __init__(
        self,
        ports: Callable[[], Iterable[str]],
        connect: Callable[[str], ClosableTransport],
        keys: KeyStore,
        codes: Codes,
        inventory: Inventory,
        listen: Callable[[str, str, bytes, int], Ear],
        broker: str | None = None,
        online_s: float = 90.0,
        progress: Callable[[int], None] | None = None,
        lock: threading.Lock | None = None,
        seen: Callable[[], Mapping[str, tuple[bytes, bool]]] = dict,
        days: int | None = INHERIT,
    ) -> None:
        self._ports = ports
        self._connect = connect
        self._keys = keys
        self._codes = codes
        self._inventory = inventory
        self._listen = listen
        self._broker = broker
        self._online_s = online_s
        self._progress = progress
        self._lock = lock or threading.Lock()
        self._seen = seen
        self._days = days
        self._transport: ClosableTransport | None = None
        self._session: Session | None = None
        self._ear: Ear | None = None

    def do(self, name: str, answers: Answers) -> Any:
        verbs: dict[str, Callable[[Answers], Any]] = {
            "find": self._find,
            "show": self._show,
            "connect": self._open,
            "scan": self._scan,
            "join": self._join,
            "reach": self._reach,
            "place": self._prefix,
            "send": self._send,
            "check": self._check,
            "spectrum": self._spectrum,
            "list": self._list,
        }
        return verbs[name](answers)

    def close(self) -> None:
        self._hang_up()
        if self._ear is not None:
            self._ear.close()
        self._ear = None

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.close()
        self._transport = self._session = None

    def _hears(self, answers: Answers, generation: int | None = None) -> Ear:
        """From before the node can say anything, so that nothing is missed. generation: by default the key's it got."""
        if self._ear is None:
            generation = generation or answers["sent"]["generation"]
            node = bytes.fromhex(answers["id"])
            self._ear = self._listen(self._broker or answers["broker"], answers["place"], node, generation)
        return self._ear

    def _find(self, answers: Answers) -> dict[str, str]:
        """Where each node is -> what is shown of it. A run that goes on looks for the node that it was about."""
        self._hang_up()
        for patience_s in _LOOKS_S:
            found, reasons = self._look(answers.get("id"), patience_s)
            if found:
                break
        else:
            away = f"node {answers['id']} is not there" if "id" in answers else "no node answers"
            # A failure to look has its own remedy.
            raise SessionError(f"{away}: {reasons[0]}" if reasons else f"{away}; connect it, then switch it off and on")
        if len(found) == 1:
            answers["node"] = next(iter(found))
        return found

    def _look(self, wanted: str | None, patience_s: float) -> tuple[dict[str, str], list[str]]:
        """Where each node is -> what is shown of it, and what failed."""
        found, reasons = {}, []
        for where in self._ports():
            try:
                transport = self._connect(where)
            except SessionError as error:
                reasons.append(str(error))
                continue
            try:
                answer = who(transport, timeout=patience_s)
            except SessionError as error:
                reasons.append(str(error))
                continue
            finally:
                transport.close()
            if answer and wanted in (None, answer[0].hex()):
                found[where] = _line(where, answer[0], answer[1])
        for where, (identity, enrolled) in self._seen().items():
            if wanted in (None, identity.hex()):
                found[where] = _line(where, identity, enrolled)
        return found, reasons

    def _show(self, answers: Answers) -> bool:
        self._hang_up()
        self._transport = self._connect(answers["node"])
        answer = who(self._transport, show=True, timeout=_LOOKS_S[-1])
        if answer is None:
            raise SessionError(f"{answers['node']}: the node no longer answers; connect it again")
        answers["id"] = answer[0].hex()
        code = self._codes.get(answer[0])
        if code and "code" not in answers:
            answers["code"] = code
        return True

    def _open(self, answers: Answers) -> dict[str, Any]:
        assert self._transport is not None
        self._session = Session(self._transport, answers["code"], bytes.fromhex(answers["id"]), self._progress)
        about = self._session.request("about")
        if not isinstance(about, dict):
            raise SessionError("the node's description of itself can't be read: update the firmware or quaver")
        answers["wrong_codes"] = about.get("wrong_codes", 0)
        if about.get("board") in board_names():
            answers["links"] = list(load_board(about["board"]).links)
        return about

    def _request(self, do: str, arguments: Mapping[str, Any] | None = None, timeout: float = 10.0) -> Any:
        if self._session is None:
            raise SessionError("there is no session with the node; connect it again")
        return self._session.request(do, arguments, timeout)

    def _scan(self, answers: Answers) -> Sequence[Any]:
        networks = self._request("scan", timeout=_JOIN_S)
        return networks if isinstance(networks, list) else []

    def _join(self, answers: Answers) -> bool:
        try:
            self._request("join", {"ssid": answers["ssid"], "password": answers["password"]}, _JOIN_S)
        except Refused as error:
            raise SessionError(f"the node can't join {answers['ssid']}: {error.reason}") from error
        return True

    def _reach(self, answers: Answers) -> bool:
        """Before anything is sent to the node: whom nobody here can hear would be enrolled for nothing."""
        self._listen(self._broker or answers["broker"], "-/-/-/-/-", bytes.fromhex(answers["id"]), 0).close()
        return True

    def _prefix(self, answers: Answers) -> str:
        prefix = "/".join(str(answers[key]) for key in ("site", "area", "line", "asset", "name"))
        with self._lock:
            for entry in self._inventory.entries():
                if entry.prefix == prefix and entry.state != "retired" and entry.id.hex() != answers.get("id"):
                    raise InventoryError(f"topic prefix {prefix} belongs to node {entry.id.hex()}; choose another name")
        return prefix

    def _key(self, node: bytes, name: str) -> tuple[int, bytes]:
        """The device key to send: a fresh one, or that of a try that came to nothing."""
        with self._lock:
            known = self._keys.get(node) if self._keys.path.exists() else None
            if known is None:
                known = self._keys.create(node, name, days=None if self._days == INHERIT else self._days)
            else:
                entry = self._inventory.get(node)
                used = entry is not None and entry.generation >= known.generation
                if used or self._keys.ended(node, known.generation):
                    known = self._keys.rotate(node, self._days)
                if known.name != name:
                    known = self._keys.rename(node, name)
        return known.generation, known.keys[known.generation]

    def _send(self, answers: Answers) -> dict[str, Any]:
        node = bytes.fromhex(answers["id"])
        generation, key = self._key(node, answers["name"])
        check = hmac(key, b"quaver key check")[:8].hex()
        if has_wifi(answers):
            self._hears(answers, generation)
        given = {"config": config(answers), "key": key.hex(), "generation": generation}
        if self._request("stage", given) != check:
            raise SessionError("the node stored a different key from the one that was sent: try again")
        self._request("commit", {"check": check})
        self._hang_up()
        with self._lock:
            self._codes.put(node, answers["code"])
            self._inventory.put(self._entry(answers, generation, "enrolled"))
        return {"generation": generation, "at": time.time()}

    def _entry(self, answers: Answers, generation: int, state: str) -> Entry:
        about = answers.get("about") or {}
        node = bytes.fromhex(answers["id"])
        before = self._inventory.get(node) or Entry(node, answers["name"])
        return Entry(
            node,
            answers["name"],
            site=answers["site"],
            area=answers["area"],
            line=answers["line"],
            asset=answers["asset"],
            state=state,
            board=about.get("board") or before.board,
            firmware=about.get("firmware") or before.firmware,
            generation=generation,
            machine_group=answers["group"] or None,
            mounting=answers.get("mounting"),
            bearing=answers["bearing"],
            rpm=answers["rpm"] or None,
            enrolled=int(time.time()),
            note=before.note,
        )

    def _check(self, answers: Answers) -> dict[str, bool]:
        status = self._hears(answers).wait("status", self._online_s)
        if status is None:
            raise SessionError(
                f"{answers['place']} has not reached {_shown(answers['broker'])} within {self._online_s:.0f} s; "
                "check the broker's address, and that its ACL lets the node write and this machine read, then restart "
                "the node to try again"
            )
        return {"dated": "time_ms" in status}

    def _spectrum(self, answers: Answers) -> dict[str, Any]:
        record = self._hears(answers).wait("telemetry", self._online_s)
        if record is None:
            raise SessionError(
                f"{answers['place']} is online but sends no measurement; check its sensor, then try again"
            )
        return {name: record[name] for name in _FIRST if name in record}

    def _list(self, answers: Answers) -> str:
        if not has_wifi(answers):  # nobody has heard it yet: it is at no gateway
            return str(answers["place"])
        with self._lock:
            entry = self._inventory.update(bytes.fromhex(answers["id"]), state="in service", seen=int(time.time()))
        return entry.prefix


def _line(where: str, identity: bytes, enrolled: bool) -> str:
    return f"{identity.hex()} at {where}{' (enrolled)' if enrolled else ''}"


def _shown(broker: str) -> str:
    return str(parse_broker_url(broker))
