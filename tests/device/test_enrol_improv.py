"""Improv Wi-Fi over the cable of a blank node; test_enrol_air.py has it over Bluetooth."""

import json

from quaver.build import firmware_files
from quaver.emulator.setup import Setup
from quaver.emulator.targets import open_board
from quaver.provision.identity import new_code
from quaver.provision.serial import SerialTransport
from quaver_wire.frames import Frames, improv_frame
from tests.waiting import wait_for_words, wait_until

COMMAND = 3  # packet types of Improv's serial side
STATE, ERROR, RESULT = 1, 2, 4


def test_improv_over_the_cable_gives_an_esp32_c3_its_network_after_a_wrong_password() -> None:
    files = {**firmware_files("esp32_c3", {"improv": 1}), "session.code": new_code().encode()}
    # the cable alone
    files["firmware.txt"] = files["firmware.txt"].replace(b"\n links/ble_onboard\n", b"\n links/none\n")
    with open_board("esp32_c3:", Setup(files=files)) as board:
        board.set_sensor("wifi", ssid="plant", password="correct horse")
        found: list[tuple[int, bytes]] = []
        with SerialTransport(board.address) as transport:
            frames, port = Frames(), transport._port

            def look() -> bool:
                """Whether a whole frame is there."""
                found.extend(frames.feed(port.read(max(1, port.in_waiting))))
                return bool(found)

            def until(kind: int) -> bytes:
                """The data of the next packet of this type; others before it are passed over."""
                while True:
                    wait_until(lambda: found or look(), board)
                    which, data = found.pop(0)
                    if which == kind:
                        return data

            wait_for_words(board, b"blank")
            port.write(improv_frame(COMMAND, b"\x02\x00"))  # at once, with the byte of a Ctrl-C in it
            assert until(STATE) == b"\x02"
            port.write(improv_frame(COMMAND, b"\x04\x00"))
            assert until(RESULT) == b"\x04\x0e\x05plant\x03-55\x03YES"
            port.write(improv_frame(COMMAND, b"\x01\x12\x05plant\x0bwrong horse"))
            assert [until(STATE), until(STATE), until(ERROR)] == [b"\x03", b"\x02", b"\x03"]
            port.write(improv_frame(COMMAND, b"\x01\x14\x05plant\x0dcorrect horse"))
            assert [until(STATE), until(STATE), until(RESULT)] == [b"\x03", b"\x04", b"\x01\x00"]
        assert json.loads(board.get("config.json"))["wifi"] == {"ssid": "plant", "password": "correct horse"}
        assert b"horse" not in board.console()
