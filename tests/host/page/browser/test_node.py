"""A real node, a real broker and `quaver serve` between them: what a technician asks for comes back on the screen."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from looking import PATIENCE_MS, WIDTHS
from playwright.sync_api import Browser, Page, expect
from test_access import CHEAP, GOOD

from quaver.access.access import Access
from quaver.bench.mosquitto import Mosquitto
from quaver.build import firmware_files
from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity
from quaver.emulator.sensors.iis3dwb import IIS3DWB
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.fleet.keys import KeyStore
from quaver.recordings.machine import Machine
from tests.device.test_time import Server, asks, good
from tests.waiting import wait_until

NODE = Identity.of("pump-7").unique_id.rjust(8, b"\0")
KEY = bytes(range(32))


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    return start_mosquitto("allow_anonymous true\nmax_queued_messages 0\nlog_type all")


@pytest.fixture
def node(mosquitto: Mosquitto, tmp_path: Path, url: str) -> Iterator[Any]:
    """In service, in real time; it measures by itself once a day, so the page's ingest has to be there before it."""
    wait_until(lambda: "Sending SUBACK" in mosquitto.said)
    clock = Server()
    clock.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
    config = {
        "site": "works", "area": "hall", "line": "line-2", "asset": "pump", "node": "pump-7",
        "interval_s": 86400, "wifi": {"ssid": "quaver", "password": "emulated"}, "time_server": "127.0.0.1",
        "broker": {"host": "127.0.0.1", "port": 1883}, "temperature": None, "energy": None,
        "vibration": {"samples": 1024},
    }  # fmt: skip
    files = dict(firmware_files("unix", config))
    files["device.key"] = json.dumps({"generation": 1, "key": KEY.hex()}).encode()
    files["main.py"] = asks(clock.port) + files["main.py"]
    rig = (Attached("iis3dwb", "spi0", "spi0_cs", IIS3DWB(Machine(rpm=1797))),)
    with open_board(
        "unix:", Setup(files=files, rig=rig, broker_port=mosquitto.port, real_time=True, name="pump-7")
    ) as board:
        yield board
    clock.stop()


@pytest.fixture
def url(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[str]:
    """Of `quaver serve` with its ingest and with an operator's keys."""
    KeyStore(tmp_path / "keys").create(NODE, "pump-7", KEY)
    words = ["--store", tmp_path / "plant.sqlite", "--state", tmp_path / "page", "--keys", tmp_path / "keys"]
    words += ["--operator", tmp_path / "keys", "--broker", "--port", "0"]
    program = subprocess.Popen(
        [Path(sys.executable).with_name("quaver"), "serve", *words],
        stderr=subprocess.PIPE, text=True, env={**os.environ, "QUAVER_BROKER": f"mqtt://127.0.0.1:{mosquitto.port}"},
    )  # fmt: skip
    assert program.stderr is not None
    said = ""
    while not (found := re.search(r"at (http://\S+)", said)):
        line = program.stderr.readline()
        assert line, said
        said += line
    yield found[1]
    program.terminate()
    program.communicate(timeout=60)


def asked(page: Page, name: str, answer: str) -> None:
    """A command is sent by its button, and its answer comes into the table."""
    page.get_by_role("button", name=name, exact=True).click()
    row = page.get_by_role("row").nth(1)
    expect(row).to_contain_text(name)
    expect(row).to_contain_text("answered")
    expect(row).to_contain_text(answer)


@pytest.mark.usefixtures("node")
def test_a_technician_commands_a_node_and_sees_it_come_back_after_the_broker(
    chromium: Browser, mosquitto: Mosquitto, url: str, tmp_path: Path
) -> None:
    with Access(tmp_path / "page", CHEAP) as access:
        access.users.add("tim", "technician", GOOD, by="test")
        secret = access.login("tim", GOOD, "127.0.0.1")
    context = chromium.new_context(viewport=WIDTHS["wall"], locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=3 * PATIENCE_MS)  # a node in real time comes back in its own time
    context.add_cookies([{"name": "quaver_session", "value": secret, "url": url}])
    page = context.new_page()
    page.goto(url)
    page.get_by_role("link", name="pump-7").click(timeout=60_000)  # there once its node has said something
    page.get_by_role("link", name="Set-up").click()
    asked(page, "Identify", "blinks")
    asked(page, "Measure now", "rms_g")
    asked(page, "Waveform", "samples")
    page.get_by_role("link", name="Waveform", exact=True).click()
    expect(page.locator("figcaption")).to_contain_text("1,024 samples")

    # the broker goes while somebody watches: the page stays, says what failed, and goes on when it is back
    page.get_by_role("link", name="Set-up").click()
    mosquitto.stop()
    page.get_by_role("button", name="Measure now").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("failed")
    expect(page.get_by_role("row").nth(1)).to_contain_text("broker")
    mosquitto.start()
    asked(page, "Measure now", "rms_g")
    expect(page.locator(".status")).to_have_text("Live")
    context.close()
