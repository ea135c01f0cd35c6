# Kept as source, because MicroPython starts main.py and not main.mpy.
import os
import sys

from node import room, start

names = os.listdir("/")
if "session.code" in names:
    import board

    import hal

    blank = "device.key" not in names
    if blank or hal.port(board).reset_cause() == "PWRON_RESET":
        before = set(sys.modules)
        from node import onboard

        # Until the node is enrolled; then it starts anew. One that is: for whoever comes to enrol it again.
        onboard.run(None if blank else 5)
        del onboard
        room.drop([name for name in sys.modules if "." in name and name not in before])
        del before
    del blank, board, hal
del names

import board  # noqa: E402

release = None
if board.CHIP.startswith("esp32"):
    from hal import esp32

    release = esp32.hold_back()
    esp32 = None
board = None

from node import config  # noqa: E402

if config.role() == "gateway":
    from gateway import app
else:
    from node import app
config = None

supervisor, watchdog = app.build()
scaffold = app.SCAFFOLD
app = None
room.drop(scaffold)
if release:
    release()
start.run(supervisor, watchdog)
