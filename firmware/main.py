# Kept as source, because MicroPython starts main.py and not main.mpy.
import os

names = os.listdir("/")
if "session.code" in names and "device.key" not in names:
    from node import onboard

    onboard.run()  # until the node is enrolled; then it starts anew
del names

from node import app, start  # noqa: E402

supervisor, watchdog = app.build()
scaffold = app.SCAFFOLD
app = None
start.drop(scaffold)
start.run(supervisor, watchdog)
