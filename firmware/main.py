# Kept as source, because MicroPython starts main.py and not main.mpy.
from node import app, start

supervisor, watchdog = app.build()
scaffold = app.SCAFFOLD
app = None
start.drop(scaffold)
start.run(supervisor, watchdog)
