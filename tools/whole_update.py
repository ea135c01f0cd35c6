"""Every file of an emulated Pico W's firmware changes in one release, beside as much as a journal may hold.

    tools/whole_update.py [--ending confirmed|taken-back]

Both endings by default. `confirmed`: the node takes such a release and keeps it. `taken-back`: it takes one that ends
at the prompt, and the old firmware comes back, whole. Each takes some minutes. Exit code 1 when
the node ends otherwise, or when a file on its flash is not what it has to be.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).parents[1]))  # board and time server are as in the tests

from quaver.bench.mosquitto import Mosquitto
from quaver.broker.address import BrokerUrl
from quaver.build import firmware_files
from quaver.emulator.identity import Identity
from quaver.emulator.rp2040 import Rp2040Board
from quaver.emulator.setup import Setup
from quaver.errors import QuaverError
from quaver.fleet.keys import KeyStore
from quaver.fleet.operator import Operator
from quaver.fleet.procedures import update
from quaver.plant.node import healthy_machine, standard_rig
from quaver.release import bundle
from quaver.release.bundle import Release
from quaver.release.publish import publish
from tests.device.plant import RELEASE_KEY
from tests.device.test_time import Server, asks, good
from tests.waiting import wait_for_words

ENDINGS = ("confirmed", "taken-back")
NAME = "n1"
PATIENCE_S = 3000.0
JOURNAL = 256 << 10  # bytes: outbox.flash_kb as it is by default
SEQUENCE = 2
CONFIG = {
    "site": "plant",
    "node": NAME,
    "interval_s": 86400,
    "time_server": Rp2040Board.host_address,
    "wifi": {"ssid": "quaver", "password": "emulated"},
    "broker": {"host": Rp2040Board.host_address, "port": 1883},
    "temperature": None,
    "energy": None,
    "vibration": {"samples": 4096},
}


def changed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What is behind the last module of a pack, and the end of a script, does nothing: the firmware is another one."""
    return {path: data + (b"\n" if path.endswith((".py", ".txt")) else b"\0") for path, data in files.items()}


def failing(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The same, and its main.py ends at the prompt."""
    return {**changed(files), "main.py": b"1 / 0\n" + files["main.py"]}


def release_of(files: Mapping[str, bytes]) -> Release:
    with patch.object(bundle, "firmware_files", lambda board: dict(files)):
        return bundle.build_release(["pico_w"], SEQUENCE, expires=int(time.time()) + 1_000_000_000, key=RELEASE_KEY)


def left(board: Rp2040Board) -> list[str]:
    """What an update has on flash, at the top."""
    names = json.loads(board.exec("import json, os\nprint(json.dumps(os.listdir('/')))"))
    return sorted(name for name in names if name.startswith("release.") or name.endswith((".new", ".old")))


def run(ending: str) -> list[str]:
    """What is not as it has to be."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(Mosquitto(folder))
        clock = Server()
        clock.answer = lambda request: good(request, time_ms=int(time.time() * 1000))
        stack.callback(clock.stop)
        keys = KeyStore(folder / "keys")
        device_key = keys.create(Identity.of(NAME).unique_id, NAME).keys[1]
        own = firmware_files("pico_w")
        own["main.py"] = asks(clock.port) + own["main.py"]
        beside = {
            "config.json": json.dumps(CONFIG).encode(),
            "device.key": json.dumps({"generation": 1, "key": device_key.hex()}).encode(),
            "release.key": RELEASE_KEY.public.xy,
            "filler": bytes(JOURNAL - 1024),
        }
        rig = standard_rig(healthy_machine())[:1]
        board = Rp2040Board(Setup(files={**own, **beside}, rig=rig, broker_port=broker.port, name=NAME))
        stack.callback(board.stop)
        wait_for_words(board, b"node: online")
        new = changed(own) if ending == ENDINGS[0] else failing(own)
        release, url = release_of(new), BrokerUrl("127.0.0.1", broker.port)
        publish(release, "plant", url=url)
        kept, why = True, ""
        try:
            with Operator(url, keys, NAME, timeout_s=PATIENCE_S, expires_s=2_000_000) as operator:
                update(operator, release.envelopes)
        except QuaverError as error:
            kept, why = False, str(error)
        problems = []
        if kept != (ending == ENDINGS[0]):
            problems.append(f"the node {'kept it' if kept else f'did not: {why}'}; {board.console()[-1000:]!r}")
        board.reset(run=False)
        wanted = {**(new if kept else own), "boot.py": own["boot.py"]}  # which no release changes
        problems += [f"{path} is another" for path, data in wanted.items() if board.get(path) != data]
        rest = left(board)
        if rest != ["release.key", "release.sequence"][: 2 if kept else 1]:
            problems.append(f"on flash there are {rest}")
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ending", choices=ENDINGS)
    given = parser.parse_args().ending
    failed = False
    for ending in (given,) if given else ENDINGS:
        began = time.monotonic()
        problems = run(ending)
        failed = failed or bool(problems)
        print(
            f"{ending}: {'; '.join(problems) or 'as it has to be'}, after {time.monotonic() - began:.0f} s", flush=True
        )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
