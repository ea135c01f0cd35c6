"""Notifications: each alarm once to whoever is to hear of it, in their words, whatever is killed, away or hostile."""

import datetime
import email.policy
import ipaddress
import json
import re
import ssl
import threading
import tomllib
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fleet import HOUR_MS, Node
from test_ingest import FAN, Bench

from quaver.bench.ports import free_port
from quaver.bridge.notify.alarms import Alarms
from quaver.bridge.notify.message import LISTED, Message
from quaver.bridge.notify.notifier import Notifier, notifiers
from quaver.bridge.notify.receivers import receiver_of
from quaver.bridge.notify.spec import Notify, check_names
from quaver.bridge.run import Bridge
from quaver.bridge.sink import SinkDown
from quaver.bridge.spec import EXAMPLE, read_bridge
from quaver.broker.reader import Message as Sealed
from quaver.cli import main
from quaver.errors import BridgeError
from quaver.knowledge import entries
from quaver.query.source import Place, Source
from quaver.store.ledger import ledger
from quaver_wire.fields import EVENTS, FAULTS
from tests.waiting import wait_until

NOON = 1_790_000_000_000 - 1_790_000_000_000 % 86_400_000 + 12 * HOUR_MS  # of a day, UTC
MINUTE = 60_000
OK, WARNING, ALARM = range(3)
EVERYTHING = ("alarms", "warnings", "recoveries", "gone", "gaps", "security")
HOSTILE = "a\r\nBcc: all@example.org\r\n\r\n<script>alert(1)</script>{{ 7 * 7 }}\u202e"


class Ear:
    """A receiver in memory, for what is decided before anything goes out; `away`: it is down."""

    where = "ear"

    def __init__(self) -> None:
        self.got: list[Message] = []
        self.away = False
        self.cut = False  # it takes a message, and its answer is lost

    def send(self, message: Message) -> str:
        if self.cut:
            self.got.append(message)
        if self.away or self.cut:
            raise SinkDown("ear: refuses the connection")
        self.got.append(message)
        return ""


class Desk:
    """Runs a table as the bridge does, by a clock that a test sets; `kill` forgets all that is not on the disk."""

    def __init__(self, folder: Path, bench: Bench, *tables: Notify, first: bool = True) -> None:
        self.folder, self.bench, self.tables, self.first = folder, bench, tables, first
        self.now = NOON
        self.said: list[str] = []
        self.ears = {table.name: Ear() for table in tables}
        self.place = dict.fromkeys(self.ears, Place())
        self.start()

    def start(self) -> None:
        self.sinks = {
            table.name: Notifier(
                table, self.tables, self.bench.path, self.folder / "state.sqlite", self.said.append,
                begin_now=not self.first, clock_ms=lambda: self.now, receiver=self.ears[table.name],
            ) for table in self.tables
        }  # fmt: skip
        for sink in self.sinks.values():
            sink.connect(0)

    def kill(self) -> None:
        for sink in self.sinks.values():
            sink.close()
        self.start()

    def run(self, minutes: float = 0, noted: bool = True) -> None:
        """So much later, hand over what the store has; noted: False as when it is killed before it has noted that."""
        self.now += int(minutes * MINUTE)
        for name, sink in self.sinks.items():
            with Source(self.bench.path) as source:
                while found := source.after(self.place[name], sink.batch, self.now):
                    sink.put(found, 0, lambda _: None)
                    if not noted:
                        break
                    self.place[name] = found[-1].place
            sink.rest()

    def take(self, *messages: Sealed) -> None:
        self.bench.take(*messages, now=self.now)

    def got(self, name: str = "a") -> list[list[tuple[str, str, str]]]:
        """Each message as its (state, node, title)."""
        return [[(one["state"], one["node"], one["title"]) for one in m.items] for m in self.ears[name].got]


def table(name: str = "a", **values: Any) -> Notify:
    return Notify.model_validate({"name": name, "webhook": {"url": "https://example.org/"}, "group": 0, **values})


@pytest.fixture
def desk(tmp_path: Path, bench: Bench) -> Callable[..., Desk]:
    return lambda *tables, **more: Desk(tmp_path, bench, *(tables or (table(),)), **more)


def change(node: Node, level: int, subject: str = "rms", at: int = NOON, **more: Any) -> Sealed:
    values = {"subject": subject, "value": 0.5, "limit": 0.4} | more
    return node.says("event", code=EVENTS.index("level"), event_level=level, time_ms=at, **values)


RISEN = entries("en")["level_rise"].title


def test_an_alarm_and_its_recovery_are_told_once_over_kills(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk()
    d.take(change(pump, ALARM))
    for _ in range(3):  # killed before it has noted the records, again and again
        d.run(noted=False)
        d.kill()
    d.run()
    d.kill()
    d.take(change(pump, ALARM), change(pump, OK))  # as a node tells again after a restart, and what ends it
    for _ in range(3):
        d.run(1, noted=False)
        d.kill()
    assert d.got() == [[("begun", "pump-7", RISEN)], [("over", "pump-7", RISEN)]]


def test_a_message_whose_answer_was_lost_is_the_same_when_it_comes_again(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk()
    d.ears["a"].cut = True
    d.take(change(pump, ALARM))
    d.run()
    d.kill()
    d.ears["a"].cut = False
    d.run()
    first, again = d.ears["a"].got
    assert first == again
    d.run(60)
    assert len(d.got()) == 2


def test_a_message_says_what_where_how_bad_and_what_to_do(desk: Callable[..., Desk], pump: Node) -> None:
    for language, also in (("en", "Check first:"), ("de", "Zuerst prüfen:")):
        name = f"in-{language}"
        d = desk(table(name, language=language, time_zone="Europe/Berlin"))
        if language == "en":
            d.take(change(pump, ALARM, "envelope"))
        d.run()
        (message,) = d.ears[name].got
        advice = entries(language)["envelope_rise"]
        for words in (advice.title, advice.means, advice.act, advice.urgency, *advice.check, also):
            assert words in message.text
        assert "plant / hall / line-2 / pump" in message.text and "0.5 g" in message.text and "0.4 g" in message.text
        assert "14:00:00+02:00" in message.text  # noon UTC, in September
        assert advice.title in message.subject and "pump-7" in message.subject and message.urgent
        assert f"quaver bridge acknowledge {'FILE' if language == 'en' else 'DATEI'} " in message.text


def test_a_named_fault_ends_when_the_machine_is_well(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk()
    d.take(pump.says("event", code=EVENTS.index("fault"), event_level=ALARM, subject=FAULTS[0], value=6.0))
    d.run()
    d.take(pump.says(level=OK, machine=0))  # it stands: not judged
    d.run(1)
    assert d.got() == [[("begun", "pump-7", entries("en")["outer_race"].title)]]
    d.take(pump.says(level=OK))
    d.run(1)
    assert d.got()[1] == [("over", "pump-7", entries("en")["outer_race"].title)]


def test_what_a_restarted_node_no_longer_tells_ends_with_its_level(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk()
    d.take(change(pump, ALARM), pump.says(level=OK))  # in its own boot its events tell it
    d.run()
    d.take(pump.boots(), *(pump.says(level=OK) for _ in range(8)))
    d.run()
    assert len(d.got()) == 1
    d.take(*(pump.says(level=OK) for _ in range(5)))
    d.run()
    assert d.got()[1:] == [[("over", "pump-7", RISEN)]]


def test_warnings_are_told_where_they_are_asked_for(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table("a"), table("b", what=EVERYTHING))
    for level in (WARNING, ALARM, WARNING, OK):
        d.take(change(pump, level))
        d.run(1)
    levels = {n: [(m.items[0]["level"], m.items[0]["state"]) for m in ear.got] for n, ear in d.ears.items()}
    assert levels["a"] == [("alarm", "begun"), ("alarm", "over")]
    assert levels["b"] == [("warning", "begun"), ("alarm", "begun"), ("warning", "begun"), ("warning", "over")]
    assert d.ears["a"].got[1].items[0]["ended_to"] == "warning"


def test_a_sensor_that_fails_is_a_warning_with_its_advice(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table(what=["warnings", "recoveries"]))
    d.take(pump.says("event", code=EVENTS.index("sensor_failed"), subject="vibration", text="no answer"))
    d.run()
    d.take(pump.says("event", code=EVENTS.index("sensor_recovered"), subject="vibration"))
    d.run()
    title = entries("en")["silent"].title
    assert d.got() == [[("begun", "pump-7", title)], [("over", "pump-7", title)]]


def test_only_the_nodes_of_a_table_are_told(desk: Callable[..., Desk], bench: Bench, pump: Node) -> None:
    d = desk(table("a", nodes=["plant/*/*/*/fan-*"]), table("b", nodes=["other", "plant/hall"]))
    d.take(change(pump, ALARM), change(Node(bench.keys, FAN, "fan-1"), ALARM))
    d.run()
    assert [one[1] for one in d.got("a")[0]] == ["fan-1"] and len(d.got("b")[0]) == 2


def test_what_comes_together_goes_out_together(desk: Callable[..., Desk], bench: Bench, pump: Node) -> None:
    d = desk(table(group=60))
    d.take(change(pump, ALARM))
    d.run()
    d.take(change(Node(bench.keys, FAN, "fan-1"), ALARM))
    d.run(0.5)
    assert d.got() == []
    d.run(0.5)
    assert [one[1] for one in d.got()[0]] == ["fan-1", "pump-7"] and "(and 1 more)" in d.ears["a"].got[0].subject


def test_beyond_the_rate_the_rest_is_summed_up_in_one(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table(per_hour=3))
    features = ("rms", "peak", "crest", "kurtosis", "velocity", "envelope")
    for subject in features:
        d.take(change(pump, ALARM, subject))
        d.run(1)
    assert len(d.got()) == 3
    d.run(60)
    assert [len(one) for one in d.got()] == [1, 1, 1, 3]


def test_quiet_hours_hold_back_all_but_what_is_urgent(desk: Callable[..., Desk], pump: Node) -> None:
    quiet = {"quiet": "13:00-17:00", "time_zone": "Europe/Berlin", "what": EVERYTHING}  # 11:00 to 15:00 UTC
    d = desk(table("a", **quiet), table("b", **quiet, urgent=False))
    d.take(change(pump, ALARM), change(pump, WARNING, "peak"))
    d.run(10)
    assert [len(one) for one in d.got("a")] == [1] and d.got("b") == []
    d.take(change(pump, OK))
    d.run(10)
    assert len(d.got("a")) == 1
    d.run(170)
    assert [len(one) for one in d.got("a")] == [1, 2] and [len(one) for one in d.got("b")] == [2]
    assert all(m.late for m in (d.ears["a"].got[1], d.ears["b"].got[0]))


def test_what_waited_for_its_receiver_keeps_quiet_hours(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table("a", quiet="12:30-13:00", what=EVERYTHING))
    d.ears["a"].away = True
    d.take(change(pump, WARNING))
    d.run()
    d.ears["a"].away = False
    d.run(45)
    assert d.got() == []
    d.run(20)
    assert len(d.got()) == 1


def test_an_alarm_that_nobody_acknowledges_is_escalated(desk: Callable[..., Desk], pump: Node, tmp_path: Path) -> None:
    d = desk(table("a", escalate_after=15, escalate_to="b"), table("b", what=[]))
    d.take(change(pump, ALARM), change(pump, ALARM, "envelope"), change(pump, ALARM, "velocity"))
    d.run()
    ids = {one["title"]: one["alarm"] for one in d.ears["a"].got[0].items}
    with Alarms(tmp_path / "state.sqlite") as state:
        assert state.acknowledge(ids[RISEN], "the technician", d.now) == 1
    d.take(change(pump, OK, "velocity"))
    d.run(14)
    assert d.got("b") == []
    d.run(1)
    d.kill()
    d.run(30)
    assert d.got("b") == [[("escalated", "pump-7", entries("en")["envelope_rise"].title)]]
    assert "Not acknowledged" in d.ears["b"].got[0].subject
    d.take(change(pump, OK, "envelope"))
    d.run(1)
    d.run(1)
    assert [one[0][0] for one in d.got("b")] == ["escalated", "over"]


def test_it_is_escalated_though_the_first_receiver_is_down(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table("a", escalate_after=15, escalate_to="b"), table("b", what=[]))
    d.ears["a"].away = True
    d.take(change(pump, ALARM))
    d.run()
    d.run(15)
    assert d.got("a") == [] and [one[0][0] for one in d.got("b")] == ["escalated"]


def test_a_receiver_that_is_down_for_an_hour_gets_all_in_few_messages(
    desk: Callable[..., Desk], bench: Bench, pump: Node
) -> None:
    d = desk(table("a"), table("b"))
    d.ears["a"].away = True
    fan = Node(bench.keys, FAN, "fan-1")
    d.take(change(pump, ALARM))
    d.run()
    assert d.sinks["a"].trouble and not d.sinks["b"].trouble
    for number in range(60):
        d.take(change(fan, (ALARM, OK)[number % 2], at=d.now))
        d.run(1)
        if number == 30:
            d.kill()
    assert len(d.said) == 2  # of each start one line: it does not say it with every attempt
    d.ears["a"].away = False
    d.run(2)
    d.run(2)
    first, rest = d.ears["a"].got
    assert [one["node"] for one in first.items] == ["pump-7"] and first.late
    assert len(rest.items) == LISTED and rest.more == 30 - LISTED and rest.late
    assert d.said[-1] == "notify a: ear takes messages again" and not d.sinks["a"].trouble
    *hour, summary = d.got("b")
    assert len(hour) == 12 and len(summary) == LISTED  # by its rate


def test_a_backlog_comes_as_one_summary_marked_as_late(desk: Callable[..., Desk], bench: Bench) -> None:
    nodes = [Node(bench.keys, bytes([number] * 8), f"fan-{number}") for number in range(1, 41)]
    old = NOON - 20 * HOUR_MS
    for node in nodes:
        bench.take(change(node, ALARM, at=old), change(node, OK, at=old), change(node, ALARM, at=old), now=NOON)
    d = desk(table())
    for sink in d.sinks.values():
        sink.batch = 7  # a backlog of many batches
    d.run()
    d.run(5)
    (message,) = d.ears["a"].got
    assert message.late and message.subject.startswith("Late: ") and message.more == 80 - LISTED
    assert f"And {80 - LISTED} more" in message.text


def test_a_node_that_goes_is_told_and_that_it_is_back(desk: Callable[..., Desk], bench: Bench, pump: Node) -> None:
    d = desk(table(silent_after=3))
    fan = Node(bench.keys, FAN, "fan-1")
    d.take(pump.says("status"), fan.says("status"))
    d.run()
    d.run(2.9)
    assert d.got() == []
    d.take(pump.says("status", state=0, time_ms=NOON - HOUR_MS), fan.says())  # a will of an hour ago
    d.run(0.2)
    item = d.ears["a"].got[0].items[0]
    assert not item["late"] and item["since"].endswith("12:02:54+00:00")
    assert d.got() == [[("begun", "pump-7", entries("en")["node_offline"].title)]]
    d.run(3)
    assert d.got()[1] == [("begun", "fan-1", entries("en")["node_silent"].title)]
    assert "  Intervals missed: 3\n" in d.ears["a"].got[1].text
    d.run(60)
    d.kill()
    d.run(60)
    assert len(d.got()) == 2
    d.take(pump.says("status"), fan.says())
    d.run()
    assert sorted(one[:2] for one in d.got()[2]) == [("over", "fan-1"), ("over", "pump-7")]


def test_nobody_is_called_silent_while_the_store_is_away_and_ingest_catches_up(
    desk: Callable[..., Desk], pump: Node
) -> None:
    d = desk(table(silent_after=3))
    d.take(pump.says("status"))
    d.run()
    d.now += HOUR_MS
    d.sinks["a"].rest(blind=True)
    d.run()  # the store is back, and ingest is behind
    assert d.got() == []
    d.take(pump.says())
    d.run(2)
    assert d.got() == []
    d.run(2)
    assert d.got() == [[("begun", "pump-7", entries("en")["node_silent"].title)]]


def test_a_gap_without_explanation_is_told_as_the_ledger_has_it(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table(), table("new"), first=False)
    d.take(pump.says())
    d.run()
    pump.seq += 2
    late = pump.says()
    d.take(pump.says())
    d.run(10)
    d.run(10)
    ((item,),) = [m.items for m in d.ears["a"].got]
    assert item["title"] == entries("en")["records_missing"].title and item["count"] == 3
    assert item["detail"] == "boot 1: seq 1 to 3"
    d.take(late)
    pump.seq += 1
    d.take(pump.says())
    d.run(10)
    assert len(d.got()) == 1  # as many as before, and no more


def test_refused_messages_are_told_once_an_hour(
    desk: Callable[..., Desk], bench: Bench, pump: Node, tmp_path: Path
) -> None:
    sealed = pump.seal()
    forged = Sealed(pump.topic("telemetry").encode(), sealed[:-1] + bytes([sealed[-1] ^ 1]), 1, False)
    bench.take(pump.says(), forged, now=NOON - HOUR_MS)
    d = desk(table(), first=False)  # what was there before it began is not told
    d.run()
    assert d.got() == []
    for _ in range(20):
        d.take(forged)
        d.run(2)
    assert [m.items[0]["count"] for m in d.ears["a"].got] == [1]
    d.run(60)
    assert [m.items[0]["count"] for m in d.ears["a"].got] == [1, 19]
    assert d.ears["a"].got[0].items[0]["title"] == entries("en")["messages_refused"].title
    with Alarms(tmp_path / "state.sqlite") as state:
        assert state.acknowledge(d.ears["a"].got[1].items[0]["alarm"], "somebody", d.now) == 1
        assert state.open() == []  # it has no other end


def test_a_key_that_expires_is_told_once_and_so_is_its_end(desk: Callable[..., Desk], bench: Bench, pump: Node) -> None:
    d = desk(table(what=("keys", "recoveries")), table("fans", what=("keys",), nodes=("plant/*/*/*/fan-*",)))
    d.take(pump.says())
    day, stranger = "2026-12-20", "0123456789abcdef"
    bench.store.put_expiring({pump.id.hex(): day, stranger: day}, d.now)
    d.run(1)
    bench.store.put_expiring({pump.id.hex(): day}, d.now)
    d.run(10)
    title = entries("en")["key_expires"].title
    assert d.got() == [[("begun", "pump-7", title)]] and d.ears["a"].got[0].items[0]["detail"] == day
    assert "rotate" in d.ears["a"].got[0].text
    (account,), strangers = ledger(bench.store)
    assert account.refused == {} and strangers == [], "it is no refusal"
    bench.store.put_expiring({}, d.now)
    d.run(10)
    assert d.got()[1:] == [[("over", "pump-7", title)]]
    assert d.ears["fans"].got == []


def test_nothing_that_a_node_says_adds_a_line_or_a_header(desk: Callable[..., Desk], pump: Node) -> None:
    d = desk(table(what=EVERYTHING))
    d.take(change(pump, ALARM, HOSTILE[:40], text=HOSTILE[:90]))
    d.run()
    (message,) = d.ears["a"].got
    assert "\n" not in message.subject and "\r" not in message.subject + message.text
    assert not any(line.startswith(("Bcc", "<script")) for line in message.text.splitlines())
    assert "\u202e" not in message.text and "49" not in message.text


# Receivers


def tls(folder: Path) -> ssl.SSLContext:
    """A server's context; its certificate, which is its own authority, is cert.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(certificate.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return context


class Post:
    """What a mail server has taken."""

    def __init__(self) -> None:
        self.got: list[tuple[str, list[str], EmailMessage]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        parsed = BytesParser(policy=email.policy.default).parsebytes(envelope.content)
        assert isinstance(parsed, EmailMessage)
        self.got.append((envelope.mail_from, envelope.rcpt_tos, parsed))
        return "250 OK"


class MailServer(Controller):
    def __init__(self, folder: Path) -> None:
        self.post = Post()

        def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
            return AuthResult(success=(data.login, data.password) == (b"me", b"opensesame"), handled=False)

        super().__init__(
            self.post, hostname="127.0.0.1", port=free_port(), tls_context=tls(folder), require_starttls=True,
            authenticator=check, auth_required=True, ready_timeout=240,
        )  # fmt: skip


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    server = MailServer(tmp_path)
    server.start()
    yield server
    server.stop()


class Web:
    """An HTTP server that keeps what is posted; `answer`: the status that it gives, None: never any."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.answer: int | None = 200
        self.free = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if web.answer is None:
                    web.free.wait()
                    return
                web.got.append((self.path, dict(self.headers), body))
                self.send_response(web.answer)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.free.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    found = Web()
    yield found
    found.stop()


def private(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def mail_table(folder: Path, server: MailServer, login: str = "me:opensesame", **smtp: Any) -> Notify:
    return table(webhook=None, smtp={
        "host": "127.0.0.1", "port": server.port, "ca": folder / "cert.pem", "from": "quaver@example.org",
        "to": ["on-call@example.org"], "login_file": private(folder / "login", login), **smtp,
    })  # fmt: skip


def message(**more: Any) -> Message:
    values: dict[str, Any] = {
        "id": "0123", "table": "a", "made_ms": NOON, "subject": "Alarm: Außenring", "text": "Wälzlager\n",
        "items": [], "more": 0, "late": False, "urgent": True,
    } | more  # fmt: skip
    return Message(**values)


def test_a_mail_reaches_a_real_server(tmp_path: Path, mail_server: MailServer) -> None:
    receiver = receiver_of(mail_table(tmp_path, mail_server, to=["on-call@example.org", "nobody@example.org"]))
    assert "refuses some of `to` (nobody@example.org 550)" in receiver.send(message())
    ((sender, to, mail),) = mail_server.post.got
    assert (sender, to) == ("quaver@example.org", ["on-call@example.org"])
    assert mail["Subject"] == "Alarm: Außenring" and mail["Importance"] == "high"
    assert mail["Message-ID"] == "<0123@quaver.invalid>" and mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain" and mail.get_content().splitlines() == ["Wälzlager"]


def test_what_is_wrong_with_a_mail_is_said_in_a_line(tmp_path: Path, mail_server: MailServer) -> None:
    def said(wrong: Notify) -> str:
        with pytest.raises(SinkDown) as caught:
            receiver_of(wrong).send(message())
        assert "\n" not in str(caught.value) and "opensesame" not in str(caught.value)
        return str(caught.value)

    assert "refuses user or password" in said(mail_table(tmp_path, mail_server, "me:opensesame-not"))
    assert "certificate can't be verified" in said(mail_table(tmp_path, mail_server, ca=None))
    assert "refuses every address of `to`" in said(mail_table(tmp_path, mail_server, to=["nobody@example.org"]))
    assert "refuses the connection" in said(mail_table(tmp_path, mail_server, port=free_port()))
    assert "does not speak TLS" in said(mail_table(tmp_path, mail_server, tls="tls"))
    assert not mail_server.post.got


def test_a_webhook_gets_json_and_its_secret(
    desk: Callable[..., Desk], pump: Node, tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = private(tmp_path / "netrc", "machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    hook = {"url": f"{web.url}/hook", "secret_file": private(tmp_path / "secret", "Bearer abc\n")}
    d = desk(table())
    d.take(change(pump, ALARM))
    d.run()
    receiver_of(table(webhook=hook)).send(d.ears["a"].got[0])
    ((path, headers, body),) = web.got
    assert path == "/hook" and headers["Authorization"] == "Bearer abc"
    assert headers["Idempotency-Key"] == body["id"] and body["urgent"] is True
    assert body["items"][0]["node"] == "pump-7" and body["items"][0]["measured"] == "0.5 g"
    monkeypatch.setenv("QUAVER_NOTIFY_A", "from the environment")
    receiver_of(table(webhook={"url": web.url, "header": "X-Secret"})).send(message())
    assert web.got[1][1]["X-Secret"] == "from the environment" and "Authorization" not in web.got[1][1]


def test_an_ntfy_server_gets_a_topic_and_a_priority(tmp_path: Path, web: Web) -> None:
    topic = {"url": f"{web.url}/pumps", "token_file": private(tmp_path / "token", "tk_abc")}
    receiver_of(table(webhook=None, ntfy=topic)).send(message(text="ä" * 5000))
    ((path, headers, body),) = web.got
    assert path == "/" and headers["Authorization"] == "Bearer tk_abc"
    assert (body["topic"], body["title"], body["priority"]) == ("pumps", "Alarm: Außenring", 5)
    assert len(body["message"].encode()) <= 4096 and "markdown" not in body


@pytest.mark.parametrize(
    ("answer", "words"),
    [(401, "refuses the secret"), (403, "forbids it"), (302, "redirects"), (500, "takes no message (HTTP 500)"),
     (None, "does not answer within 0.2 s")],
)  # fmt: skip
def test_what_a_webhook_answers_is_said_in_a_line(web: Web, answer: int | None, words: str) -> None:
    web.answer = answer
    with pytest.raises(SinkDown) as caught:
        receiver_of(table(webhook={"url": f"{web.url}/the-secret-path"}), limit_s=0.2).send(message())
    assert words in str(caught.value) and "the-secret-path" not in str(caught.value)


# Templates


def test_a_template_of_the_users_own_is_taken_and_caged(desk: Callable[..., Desk], pump: Node, tmp_path: Path) -> None:
    path = tmp_path / "mine.j2"
    path.write_text("{{ items[0].node }}\n\n{% for one in items %}{{ one.title }} since {{ one.since }}\n{% endfor %}")
    d = desk(table(template=path))
    d.take(change(pump, ALARM))
    d.run()
    assert (d.ears["a"].got[0].subject, d.ears["a"].got[0].text.startswith(RISEN)) == ("pump-7", True)
    for text in ("{{ items.__class__.__mro__ }}", "{% for", "{{ nothing.at_all }}", "{{ 1 / 0 }}"):
        path.write_text(text)
        with pytest.raises(BridgeError, match=r"mine\.j2: is no template.*docs/bridge\.md"):
            desk(table(template=path))


def test_the_page_and_the_example_hold(desk: Callable[..., Desk], pump: Node, tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/bridge.md").read_text()
    blocks = dict(re.findall(r"```(toml|jinja)\n(.*?)```", page, re.DOTALL))
    tables = [Notify.model_validate(one) for one in tomllib.loads(blocks["toml"])["notify"]]
    check_names(tables)
    (tmp_path / "page.j2").write_text(blocks["jinja"])
    d = desk(table(template=tmp_path / "page.j2"))
    d.take(change(pump, ALARM))
    d.run()
    assert d.ears["a"].got[0].subject == f"pump-7: {RISEN}" and not d.said
    example = EXAMPLE.read_text().partition("# [[notify]]")[2].replace("\n# or: ", "\n#").splitlines()[1:]
    lines = [line.removeprefix("# ") for line in example if line.startswith("# ")]
    assert set(tomllib.loads("\n".join(lines))) == set(Notify.model_fields) - {"webhook", "ntfy"}
    Notify.model_validate(tomllib.loads("\n".join(lines)))
    keys = re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in page.splitlines() if line.startswith("| `")))
    assert set(Notify.model_fields) <= set(keys)


def test_a_template_that_fails_later_loses_nothing(desk: Callable[..., Desk], pump: Node, tmp_path: Path) -> None:
    path = tmp_path / "mine.j2"
    path.write_text("{{ 1 / (items | length - 1) if items[0].node == 'pump-7' }}\n")
    d = desk(table(template=path))
    d.take(change(pump, ALARM))
    d.run()
    assert d.got() == [[("begun", "pump-7", RISEN)]] and RISEN in d.ears["a"].got[0].text
    assert "its template failed" in d.said[0]


# The command line


def write(tmp_path: Path, bench: Bench, more: str) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(f'store = "{bench.path}"\nbegin = "first"\n{more}')
    return path


def test_the_command_sends_lists_and_acknowledges(
    bench: Bench, pump: Node, tmp_path: Path, web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.take(change(pump, ALARM), now=NOON)
    path = write(tmp_path, bench, f'[[notify]]\nname = "a"\ngroup = 0\nwebhook = {{ url = "{web.url}" }}\n')
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    assert main(["bridge", "run", str(path), "--until-done"]) == 0
    ((_, _, body),) = web.got
    alarm = body["items"][0]["alarm"]
    capsys.readouterr()
    assert main(["bridge", "alarms", str(path)]) == 0
    assert f"{alarm}  " in capsys.readouterr().out
    assert main(["bridge", "acknowledge", str(path), alarm, "--by", "pat"]) == 0
    assert "acknowledged: 1 alarm" in capsys.readouterr().out
    assert main(["bridge", "acknowledge", str(path), alarm]) == 0
    assert "was acknowledged before, by pat" in capsys.readouterr().out
    assert main(["bridge", "alarms", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["acknowledged_by"] == "pat"
    assert main(["bridge", "acknowledge", str(path), "none"]) == BridgeError.exit_code
    assert "there is no such alarm" in capsys.readouterr().err
    assert main(["bridge", "acknowledge", str(path)]) == 2
    assert main(["bridge", "acknowledge", str(path), "--all"]) == 0


def test_a_receiver_that_is_down_holds_up_no_other(
    bench: Bench, pump: Node, tmp_path: Path, web: Web, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.take(change(pump, ALARM), now=NOON)
    down = f'[[notify]]\nname = "down"\ngroup = 0\nwebhook = {{ url = "http://127.0.0.1:{free_port()}" }}\n'
    up = f'[[notify]]\nname = "up"\ngroup = 0\nwebhook = {{ url = "{web.url}" }}\n'
    spec = read_bridge(write(tmp_path, bench, down + up))
    said: list[str] = []
    sinks = notifiers(spec.notify, spec.store, spec.state, said.append, begin_now=False)
    bridge = Bridge(spec.store, spec.state, sinks, said.append, begin_now=False)
    bridge.start()
    try:
        wait_until(lambda: web.got and said, what="the alarm at the receiver that is up, and a line on the other")
        wait_until(lambda: [one.up for one in bridge.progress] == [False, True], what="the metric of the sinks")
    finally:
        bridge.stop()
    assert main(["bridge", "status", str(tmp_path / "bridge.toml")]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["notify down: 0 records wait, alarms not told yet: 1", "notify up: 0 records wait"]
    assert len(said) == 1 and said[0].startswith("notify down: webhook http://127.0.0.1:")
    assert "refuses the connection" in said[0] and "waits in the state file" in said[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('webhook = { url = "http://example.org" }', "expected https://"),
        ('webhook = { url = "https://me:hidden@example.org" }', "do not belong into a URL"),
        ('webhook = { url = "https://h", header = "A\\r\\nB" }', "expected the name of a header"),
        ('ntfy = { url = "https://ntfy.sh" }', "expected the URL of a topic"),
        ("", "expected one of the tables smtp, webhook and ntfy"),
        ('smtp = { host = "h", from = "a@b", to = ["c@d\\r\\nBcc: e@f"] }', "expected an address"),
        ('smtp = { host = "h", from = "a@b", to = ["c@d"], tls = "none", login_file = "x" }', "unencrypted"),
        ('smtp = { host = "h", from = "a@b", to = ["c@d"], login_file = "gone" }', "there is no such file"),
        ('quiet = "22-6"\nwebhook = { url = "https://h" }', "expected two times"),
        ('time_zone = "Mars"\nwebhook = { url = "https://h" }', "time zone database"),
        ('nodes = ["a//b"]\nwebhook = { url = "https://h" }', "at most five names"),
        ('escalate_after = 5\nwebhook = { url = "https://h" }', "belong together"),
        ('escalate_after = 5\nescalate_to = "b"\nwebhook = { url = "https://h" }', "there is no [[notify]] table 'b'"),
        ('escalate_after = 5\nescalate_to = "a"\nwebhook = { url = "https://h" }', "leads back to 'a'"),
        ('template = "gone.j2"\nwebhook = { url = "https://h" }', "can't be read"),
    ],
)
def test_a_wrong_table_is_refused_in_a_line(
    text: str, words: str, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, bench, f'[[notify]]\nname = "a"\n{text}\n')
    assert main(["bridge", "run", str(path), "--until-done"]) == BridgeError.exit_code
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and "hidden" not in said
