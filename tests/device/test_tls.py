"""TLS on the chip: a session with the broker of docs/mosquitto.md, and a plain word where memory does not reach."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quaver.board.interface import Board
from quaver.build import firmware_files
from quaver.pytest_plugin import Target

sys.path.append(str(Path(__file__).resolve().parents[1] / "host"))
from example_broker import lay_out

pytestmark = pytest.mark.needs_radio

SESSION = """
import asyncio, gc, machine, network, time
from hal import memory
from links.errors import LinkError
from links.mqtt import Mqtt
from links.tls import Tls
wlan = network.WLAN(network.WLAN.IF_STA)
wlan.active(True)
wlan.connect("quaver", "emulated")
while not wlan.isconnected():
    time.sleep_ms(50)
machine.RTC().datetime((2030, 1, 1, 1, 0, 0, 0, 0))
config = {{"host": {host!r}, "port": 1883, "user": "pump-7", "password": "secret", "keepalive_s": 60}}
link = Mqtt(config, "pump-7-x", "s/a/l/x/pump-7/status", b"gone", Tls("/ca.pem", {host!r}, memory))
held = []
gc.collect()
before = gc.mem_free()
for size in (32000, 8000, 1000):
    try:
        while gc.mem_free() > 28000 + size:
            held.append(bytearray(size))
    except MemoryError:
        pass  # no room of this size in one piece
try:
    link.up()
except LinkError as error:
    print(error)
held = None
gc.collect()
began = time.ticks_ms()
link.up()
asyncio.run(link.publish("s/a/l/x/pump-7/event", b"sealed", 5000))
print("up")
print(time.ticks_diff(time.ticks_ms(), began))
gc.collect()
print(before - gc.mem_free())
link.down()
"""


def test_a_session_comes_about_or_says_that_memory_is_short(
    start_board: Callable[..., Board], board_target: Target, start_mosquitto: Callable[[str], Any], tmp_path: Path
) -> None:
    host = "127.0.0.1" if board_target.where == "unix:" else "10.0.0.1"
    settings = lay_out(tmp_path / "etc", {"pump-7": "secret"}, f"IP:{host}")
    broker = start_mosquitto(settings)
    files = {path: data for path, data in firmware_files(board_target.board).items() if path != "main.py"}
    files["ca.pem"] = (tmp_path / "etc" / "ca.crt").read_bytes()
    board = start_board(files=files, broker_port=broker.port)
    refused, up, took_ms, taken = board.exec(SESSION.format(host=host), timeout=120).strip().splitlines()
    assert refused.startswith("TLS does not fit memory: ")
    assert up == "up"
    assert int(took_ms) < 6000  # of the watchdog's 8.3 s
    assert int(taken) < 30000
