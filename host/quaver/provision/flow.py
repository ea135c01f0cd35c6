"""The provisioning room's dialogue, without a terminal: which question comes next, what an answer must be, what to do.

The steps are a table. A step is a question (`Ask`) or work (`Do`); one that does not apply is passed over, and one
whose answer is there already, from the command line or from a run that broke off, is not asked again. Work that fails
says which answers it was about: those are forgotten, and asked for anew.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.errors import SessionError
from quaver.files import csv_rows as rows
from quaver.files.private import read_private, write_private
from quaver.provision.identity import CodeError, normal, scanned
from quaver_wire.fields import LIMITED

Answers = dict[str, Any]
_FILE_MAX = 1 << 16
_CA = "/ca.pem"  # on the node's flash, where docs/mosquitto.md puts it
TIME_SERVER = "pool.ntp.org"
"""Where the date comes from unless somebody says otherwise. Without a date a node can't tell a late command."""
_SERVER_MAX = 64  # characters, as firmware/build/config.py takes it
_LIMIT_MAX = 999999999.0  # below 1e9, as the node takes it


@dataclass(frozen=True)
class Ask:
    """A question. choices: what may be answered, by number or text; default: what an empty answer means.

    listed: the choices are long, or not known before: show them one a line.
    """

    name: str
    words: str
    choices: tuple[str, ...] = ()
    default: str | None = None
    secret: bool = False
    listed: bool = False


@dataclass(frozen=True)
class Do:
    """Work: the name of a verb of the technician's hands. forget: whose answers go when it fails."""

    name: str
    words: str
    forget: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Step:
    """ask or do; when: whether it applies; parse: the value of an answer's text, ValueError says why not.

    verb: of a Do; "" for an Ask.
    """

    make: Callable[[Answers], Ask | Do]
    when: Callable[[Answers], bool] = lambda answers: True
    parse: Callable[[str, Answers], Any] = lambda text, answers: text
    verb: str = ""


def _text(name: str, words: str, default: str | None = None) -> _Step:
    return _Step(lambda answers: Ask(name, words, default=default), parse=lambda text, answers: rows.place_part(text))


def _do(name: str, words: str, forget: tuple[str, ...] = (), when: Callable[[Answers], bool] = lambda a: True) -> _Step:
    return _Step(lambda answers: Do(name, words, forget), when, verb=name)


def _node(text: str, answers: Answers) -> str:
    for where, words in answers["found"].items():
        if text in (where, words):
            return str(where)
    raise ValueError("expected one of the nodes that were found")


def _yes(text: str, answers: Answers) -> bool:
    if text.lower() in ("y", "yes"):
        return True
    if text.lower() in ("n", "no"):
        del answers["node"], answers["shown"]
        raise Again
    raise ValueError("expected y or n")


def _code(text: str, answers: Answers) -> str:
    try:
        if ":" in text:
            node, code = scanned(text)
            if node.hex() != answers["id"]:
                raise ValueError("that label is of another node")
            return code
        return normal(text)
    except CodeError as error:
        raise ValueError(str(error)) from error


def _ssid(text: str, answers: Answers) -> str:
    if not 1 <= len(text.encode()) <= 32:
        raise ValueError("expected a name of 1 to 32 bytes")
    return text


def _password(text: str, answers: Answers) -> str:
    if text and not 8 <= len(text) <= 63:
        raise ValueError("expected 8 to 63 characters, or nothing for an open network")
    return text


def time_server(text: str) -> str:
    """The name or address of a time server; "" for "none". Raises ValueError."""
    if text == "none":
        return ""
    if not 1 <= len(text) <= _SERVER_MAX or not text.isascii() or not text.isprintable() or set(" /:") & set(text):
        raise ValueError("expected the name or IPv4 address of a time server (NTP), or none")
    return text


def _broker(text: str, answers: Answers) -> str:
    from quaver.broker.address import parse_broker_url
    from quaver.errors import BrokerError

    try:
        host = parse_broker_url(text).host
    except BrokerError as error:
        raise ValueError(str(error)) from error
    if (host == "localhost" or host.startswith("127.")) and (answers.get("about") or {}).get("board") != "unix":
        raise ValueError(f"{host} would be the node itself: expected the address that the broker has in its network")
    return text


def _group(text: str, answers: Answers) -> int:
    if text not in ("0", "1", "2"):
        raise ValueError("expected 1 (large), 2 (medium) or 0 (not in the standard)")
    return int(text)


def _bearing(text: str, answers: Answers) -> Any:
    if text == "none":
        return None
    try:
        return rows.bearing(text)
    except ValueError:
        from quaver_wire.bearings import LIBRARY

        found = [name for name in sorted(LIBRARY) if text.lower() in name]
        if found:
            raise ValueError(f"the library has {', '.join(found)}: which one?") from None
        raise


def _speed(text: str, answers: Answers) -> float:
    return 0.0 if text == "unknown" else rows.number(1, 60000, " 1/min")(text)


def limits(text: str) -> dict[str, list[float]]:
    """ "velocity 2.8 4.5; temperature 70 85" -> {"velocity": [2.8, 4.5], …}. Raises ValueError."""
    found: dict[str, list[float]] = {}
    for part in filter(None, (part.strip() for part in text.split(";"))):
        name, *values = part.split()
        pair = [rows.decimal(value, 0, _LIMIT_MAX) for value in values]
        if name not in LIMITED or len(pair) != 2 or not 0 < pair[0] <= pair[1]:
            raise ValueError(f"expected FEATURE WARNING ALARM, as in velocity 2.8 4.5; features: {', '.join(LIMITED)}")
        found[name] = pair
    return found


def _limits(text: str, answers: Answers) -> dict[str, list[float]]:
    return {} if text == "learned" else limits(text)


class Again(ValueError):
    """An answer that takes back an earlier one: go on with what comes next now."""


def _wifi(answers: Answers) -> Ask:
    known = [f"profile {name}" for name in answers.get("profiles", {})]
    seen = [ssid for ssid, *_ in answers.get("networks", ())]
    return Ask("ssid", "Wi-Fi network", (*known, *seen), known[0] if known else seen[0] if seen else None, listed=True)


def _network(text: str, answers: Answers) -> str:
    if text.startswith("profile ") and text[8:] in answers.get("profiles", {}):
        profile = answers["profiles"][text[8:]]
        answers["password"] = profile["password"]
        if "time_server" in profile:
            answers["time_server"] = profile["time_server"]
        return str(profile["ssid"])
    return _ssid(text, answers)


def _unsent(answers: Answers) -> bool:
    """Whether the node has yet to be enrolled; afterwards it restarts, and there is no session to have."""
    return "sent" not in answers


def has_wifi(answers: Mapping[str, Any]) -> bool:
    """Whether the node reaches its broker by itself; else a gateway at its cable does, which is granted later."""
    return "wifi" in answers.get("links", ("wifi",))


_STEPS: tuple[tuple[str, _Step], ...] = (
    ("found", _do("find", "looking for nodes", when=_unsent)),
    (
        "node",
        _Step(
            lambda a: Ask(
                "node", "Which node", tuple(a["found"].values()), next(iter(a["found"].values())), listed=True
            ),
            _unsent,
            _node,
        ),
    ),
    ("shown", _do("show", "the node blinks its light", ("found", "node"), _unsent)),
    (
        "right",
        _Step(
            lambda a: Ask("right", "A node blinks its light. Is it the right one", ("y", "n"), "y"),
            lambda a: _unsent(a) and len(a["found"]) > 1,
            _yes,
        ),
    ),
    ("code", _Step(lambda a: Ask("code", "Code on its label, typed or scanned", secret=True), parse=_code)),
    ("about", _do("connect", "opening a secure session", ("code",), _unsent)),
    ("networks", _do("scan", "the node looks for networks", when=lambda a: has_wifi(a) and "ssid" not in a)),
    ("ssid", _Step(_wifi, has_wifi, _network)),
    (
        "password",
        _Step(
            lambda a: Ask("password", f"Password of {a['ssid']}", default="", secret=True),
            has_wifi,
            parse=_password,
        ),
    ),
    ("joined", _do("join", "the node joins the network", ("ssid", "password", "networks"), has_wifi)),
    (
        "broker",
        _Step(lambda a: Ask("broker", "MQTT broker, as the node reaches it (mqtt://HOST)"), has_wifi, _broker),
    ),
    ("reached", _do("reach", "this machine looks for the broker", ("broker",), has_wifi)),
    (
        "time_server",
        _Step(
            lambda a: Ask(
                "time_server", "Time server, or none (without one the node obeys no commands)", default=TIME_SERVER
            ),
            has_wifi,
            parse=lambda text, answers: time_server(text),
        ),
    ),
    ("site", _text("site", "Site", "site")),
    ("area", _text("area", "Area", "area")),
    ("line", _text("line", "Line", "line")),
    ("asset", _text("asset", "Machine (asset)")),
    ("name", _text("name", "Name of the node")),
    ("place", _do("place", "the topic prefix is free", ("name",))),
    (
        "group",
        _Step(
            lambda a: Ask("group", "Machine by ISO 20816-3: 1 large, 2 medium, 0 other", ("0", "1", "2"), "2"),
            parse=_group,
        ),
    ),
    (
        "mounting",
        _Step(lambda a: Ask("mounting", "Mounting", ("rigid", "flexible"), "rigid"), lambda a: a["group"] > 0),
    ),
    (
        "bearing",
        _Step(lambda a: Ask("bearing", "Bearing, part of its name to search, or none", default="none"), parse=_bearing),
    ),
    ("rpm", _Step(lambda a: Ask("rpm", "Speed in 1/min", default="unknown"), parse=_speed)),
    (
        "limits",
        _Step(lambda a: Ask("limits", "Thresholds (velocity 2.8 4.5; …)", default="learned"), parse=_limits),
    ),
    ("sent", _do("send", "enrolling", ("place", "about"))),
    ("online", _do("check", "waiting for the node at the broker", ("broker", "sent", "about"), has_wifi)),
    ("spectrum", _do("spectrum", "commissioning: the first measurement", when=has_wifi)),
    ("listed", _do("list", "writing the inventory")),
)

STEPS = tuple(step.verb for _, step in _STEPS if step.verb)
"""The work of a run, by the names of its verbs and in their order; a step that does not apply is passed over."""

PLACE = ("site", "area", "line", "asset", "name")
"""The answers that make a node's topic prefix, in its order."""

# What a run that goes on finds anew: the port may be another, and a session does not outlive its program.
_VOLATILE = ("found", "node", "shown", "right", "about", "networks", "profiles", "reached")


class Flow:
    """Walks the table. answers: what is known from the start; `answers` holds all that is known now."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers: Answers = dict(answers or {})

    def next(self) -> Ask | Do | None:
        """What comes now; None: all is done."""
        step = self._current()
        return step[1].make(self.answers) if step else None

    def _current(self) -> tuple[str, _Step] | None:
        for name, step in _STEPS:
            if name not in self.answers and step.when(self.answers):
                return name, step
        return None

    def answer(self, text: str) -> None:
        """Take the answer to the question that `next` gave. Raises ValueError with what was expected."""
        name, step = self._required()
        question = step.make(self.answers)
        if not isinstance(question, Ask):
            raise ValueError("no question is open")
        text = text.strip()
        if not text and question.default is not None:
            text = question.default
        if text.isdecimal() and question.choices and not any(choice.isdecimal() for choice in question.choices):
            if not 1 <= int(text) <= len(question.choices):
                raise ValueError(f"expected 1 to {len(question.choices)}")
            text = question.choices[int(text) - 1]
        if not text and name != "password":
            raise ValueError("expected an answer")
        if name == "mounting" and text not in question.choices:
            raise ValueError(f"expected {' or '.join(question.choices)}")
        with contextlib.suppress(Again):
            self.answers[name] = step.parse(text, self.answers)

    def done(self, result: Any) -> None:
        """The work that `next` gave is done, with this result."""
        name, _ = self._required()
        self.answers[name] = result

    def failed(self) -> tuple[str, ...]:
        """The work that `next` gave failed: forget the answers that it was about; returns their names."""
        _, step = self._required()
        work = step.make(self.answers)
        forget = work.forget if isinstance(work, Do) else ()
        for name in forget:
            self.answers.pop(name, None)
        return forget

    def _required(self) -> tuple[str, _Step]:
        step = self._current()
        if step is None:
            raise ValueError("all is done")
        return step


def config(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The node's configuration, as build.config reads it, out of the answers."""
    from quaver.broker.address import parse_broker_url

    found: dict[str, Any] = {key: answers[key] for key in ("site", "area", "line", "asset")}
    found["node"] = answers["name"]
    if has_wifi(answers):
        broker = parse_broker_url(answers["broker"])
        found["time_server"] = answers["time_server"]
        found["wifi"] = {"ssid": answers["ssid"], "password": answers["password"]}
        found["broker"] = {"host": broker.host, "port": broker.port}
        if broker.tls:
            found["broker"]["ca"] = _CA
        if broker.user:
            found["broker"] |= {"user": broker.user, "password": broker.password}
    machine: dict[str, Any] = {"rpm": float(answers["rpm"]), "group": answers["group"]}
    if answers["group"]:
        machine["mounting"] = answers.get("mounting", "rigid")
    bearing = answers["bearing"]
    if bearing is not None:
        machine["bearing"] = {"ratios": bearing} if isinstance(bearing, list) else bearing
    found["machine"] = machine
    found["limits"] = answers["limits"]
    return found


class Saved:
    """The answers of a run that may break off, in a file of its owner's alone: it holds a Wi-Fi password."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> Answers:
        """What the last run knew, without what must be found anew. Raises SessionError."""
        data = read_private(self.path, _FILE_MAX, SessionError)
        if data is None:
            return {}
        try:
            answers = json.loads(data)
            if not isinstance(answers, dict):
                raise ValueError
        except ValueError:
            raise SessionError(f"{self.path}: can't be read; remove it to start again") from None
        return {name: value for name, value in answers.items() if name not in _VOLATILE}

    def save(self, answers: Mapping[str, Any]) -> None:
        kept = {name: value for name, value in answers.items() if name not in _VOLATILE}
        write_private(self.path, json.dumps(kept).encode(), SessionError)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)


def choices_shown(choices: Sequence[str]) -> list[str]:
    """The choices with their numbers, as lines."""
    return [f"{number:3}  {choice}" for number, choice in enumerate(choices, 1)]
