"""Security events as syslog over TLS, against a receiver that reads RFC 5425 and RFC 5424 by their grammars."""

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_notify import tls

from quaver.alarms.engine import Engine
from quaver.alarms.security import SecurityEvent
from quaver.bench.ports import free_port
from quaver.errors import PageError
from quaver.serve.syslog import Forwarder, Receiver, message, parse_receiver
from tests.waiting import wait_until

NOON = 1_790_000_000_123

# RFC 5424, section 6: the ABNF, rule by rule.
_PRINT = r"[!-~]"
_SD_NAME = r"[!#-<>-\\^-~]{1,32}"  # PRINTUSASCII except = SP ] "
_PARAM = rf' ({_SD_NAME})="((?:[^"\\\]]|\\["\\\]])*)"'
_HEADER = re.compile(
    rf"<(?P<pri>0|[1-9]\d{{0,2}})>1 (?P<time>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{{1,6}})?(?:Z|[+-]\d\d:\d\d)|-) "
    rf"(?P<host>{_PRINT}{{1,255}}) (?P<app>{_PRINT}{{1,48}}) (?P<proc>{_PRINT}{{1,128}}) (?P<id>{_PRINT}{{1,32}}) "
)
REGISTERED = {"timeQuality", "origin", "meta"}  # section 7


def parse(frame: bytes) -> tuple[dict[str, str], dict[str, dict[str, str]], str]:
    """(header, elements by name, text) of a SYSLOG-MSG; fails where it is none."""
    head, _, rest = frame.partition(b"\xef\xbb\xbf")
    text = rest.decode("utf-8")
    shown = head.decode("utf-8")
    found = _HEADER.match(shown)
    assert found, shown
    assert int(found["pri"]) <= 191
    at, elements = found.end(), {}
    while shown[at] == "[":
        name = re.compile(rf"\[({_SD_NAME})").match(shown, at)
        assert name, shown[at:]
        at = name.end()
        assert name[1] not in elements, "an SD-ID once only"
        assert name[1] in REGISTERED or re.fullmatch(r"[^@]+@\d+", name[1]), name[1]
        values = {}
        while param := re.compile(_PARAM).match(shown, at):
            values[param[1]] = re.sub(r'\\(["\\\]])', r"\1", param[2])
            at = param.end()
        assert shown[at] == "]", shown[at:]
        elements[name[1]] = values
        at += 1
    assert shown[at:] == " " and elements
    return found.groupdict(), elements, text


class Sink:
    """A receiver: it counts octets, RFC 5425, section 4.3. `frames`: what came whole."""

    def __init__(self, context: ssl.SSLContext, port: int) -> None:
        self.frames: list[bytes] = []
        self.closed = 0  # by close_notify
        self._context = context
        self._server = socket.create_server(("127.0.0.1", port))
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._server.accept()
                connection = self._context.wrap_socket(plain, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: ssl.SSLSocket) -> None:
        buffer = b""
        try:
            while part := connection.recv(65_536):
                buffer += part
                while length := re.match(rb"([1-9]\d*) ", buffer):
                    end = length.end() + int(length[1])
                    if len(buffer) < end:
                        break
                    self.frames.append(buffer[length.end() : end])
                    buffer = buffer[end:]
            assert not buffer
            self.closed += 1
        except OSError:
            pass
        finally:
            connection.close()

    def stop(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(20)


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[Engine]:
    with Engine(tmp_path / "alarms.sqlite") as engine:
        yield engine


def add(stream: Engine, *numbers: int) -> None:
    said = {"who": "ann", "what": "login refused", "details": "{}"}
    stream.audited([SimpleNamespace(number=n, time_ms=NOON + n, about=f"user {n}", **said) for n in numbers], NOON)


def order(sink: Sink) -> list[int]:
    return [int(parse(frame)[1]["meta"]["sequenceId"]) for frame in sink.frames]


def test_a_message_is_of_the_grammar_whatever_an_event_says() -> None:
    hostile = '"] \\ [x@1 y="z"]\r\n<34>1 \x00\u202e ä€😀' + "long " * 99
    event = SecurityEvent(2**31 + 4, NOON, NOON, "ingest", "00aa", hostile, hostile, hostile, 3, hostile)
    head, elements, text = parse(message(event, "gate way.example", 32473))
    assert (head["pri"], head["time"], head["host"]) == ("84", "2026-09-21T14:13:20.123Z", "gateway.example")
    assert (head["app"], head["proc"], head["id"]) == ("quaver", "-", "ingest")
    assert elements["meta"] == {"sequenceId": "5"} and elements["origin"]["software"] == "quaver"
    ours = elements["quaver@32473"]
    assert ours["count"] == "3" and ours["node"] == "00aa" and ours["what"].startswith('"] \\ [x@1 y="z"]??<34>1 ??')
    assert (
        "\n" not in text and "ä€😀" in text and len(message(event, "h", 32473)) < 2048
    )  # what any receiver takes: 5425, 4.3.1
    plain = SecurityEvent(1, NOON, NOON, "node", "00aa", "pump-7", "key_announced", "", 1, "")
    head, elements, text = parse(message(plain, "h"))
    assert set(elements) == {"origin", "meta"} and head["pri"] == "85"  # no number of its own: no element of its own
    assert text == "node: key_announced of pump-7"


def test_events_are_forwarded_once_in_order_and_go_on_after_each_end(tmp_path: Path, stream: Engine) -> None:
    context, port = tls(tmp_path), free_port()
    sink = Sink(context, port)
    receiver = Receiver("127.0.0.1", port, tmp_path / "cert.pem")
    add(stream, *range(1, 301))
    forwarder = Forwarder(stream, receiver, "h")
    forwarder.start()
    wait_until(lambda: stream.waiting(forwarder.name) == (0, 0))
    wait_until(lambda: len(sink.frames) == 300)
    assert order(sink) == list(range(1, 301)) and forwarder.trouble == ""
    forwarder.stop()
    wait_until(lambda: sink.closed == 1)  # close_notify, and no half frame
    add(stream, *range(301, 311))
    forwarder = Forwarder(stream, receiver, "h")  # as after a restart
    forwarder.start()
    wait_until(lambda: len(sink.frames) == 310)
    assert order(sink) == list(range(1, 311))
    sink.stop()  # the receiver goes
    wait_until(lambda: forwarder.trouble)
    add(stream, *range(311, 321))
    back = Sink(context, port)
    wait_until(lambda: len(back.frames) >= 10)
    assert order(back) == list(range(311, 321))
    forwarder.stop()
    back.stop()


def test_a_receiver_that_is_not_the_right_one_gets_nothing(tmp_path: Path, stream: Engine) -> None:
    port = free_port()
    (tmp_path / "other").mkdir()
    tls(tmp_path / "other")
    sink = Sink(tls(tmp_path), port)
    add(stream, 1)
    for ca, host, why in (
        (tmp_path / "other/cert.pem", "127.0.0.1", "can't be verified"),
        (tmp_path / "cert.pem", "localhost", "can't be verified"),  # its certificate is of the address alone
    ):
        forwarder = Forwarder(stream, Receiver(host, port, ca), "h")
        forwarder.start()
        wait_until(lambda f=forwarder, w=why: w in f.trouble)  # type: ignore[misc]
        forwarder.stop()
    assert not sink.frames and stream.waiting(f"127.0.0.1:{port}") == (1, 0)
    sink.stop()
    with pytest.raises(PageError, match="holds no certificate"):
        Forwarder(stream, Receiver("127.0.0.1", port, tmp_path / "key.pem"), "h").start()


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("log.example", "log.example", 6514), ("log.example:514", "log.example", 514), ("[::1]:6000", "::1", 6000),
     ("[::1]", "::1", 6514)],
)  # fmt: skip
def test_a_receiver_is_named(text: str, host: str, port: int) -> None:
    found = parse_receiver(text)
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize("text", ["", ":514", "a b", "log:0", "log:x", "log:65536", "[::1]:x", "log:514:6"])
def test_what_names_no_receiver_is_refused(text: str) -> None:
    with pytest.raises(PageError, match=r"^--syslog "):
        parse_receiver(text)


def test_a_ca_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="there is no such file"):
        parse_receiver("log", tmp_path / "ca.pem")
