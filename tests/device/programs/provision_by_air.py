"""`quaver provision --ble` beside a blank unix board in a virtual air: its code is the first argument."""

import sys

import quaver.provision.bluetooth
from quaver.broker.embedded import EmbeddedBroker
from quaver.build import firmware_files
from quaver.cli import main
from quaver.plant.node import healthy_machine, standard_rig
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.emulator.radio import Air, Path
from quaver.emulator.radio.bleak_backend import backends

SENSORS = {"vibration": {"samples": 1024}, "temperature": None, "energy": None}
files = {**firmware_files("unix", SENSORS), "session.code": sys.argv[1].encode()}
rig = standard_rig(healthy_machine())[:1]
with EmbeddedBroker() as broker, Air(seed=7, path=Path(loss=0.02)) as air:
    setup = Setup(files=files, air=air, name="n1", broker_port=broker.port, rig=rig)
    with open_board("unix:", setup) as board:
        board.set_sensor("wifi", ssid="plant", password="correct horse")
        scanner, client = backends(air.device("laptop", bytes.fromhex("280102030405")))
        radio = quaver.provision.bluetooth.Bluetooth(air.start, {"backend": scanner}, {"backend": client})
        quaver.provision.bluetooth.Bluetooth = lambda: radio  # type: ignore[assignment, misc]
        ended = main(["provision", "--ble", f"--listen={broker.url}", "--limit=60"])
sys.exit(ended)
