# Kept as source, because MicroPython starts main.py and not main.mpy; the application is node/app.
from node import app

app.main()
