"""Hears Ctrl-C and goes on."""

import time

print("up")
while True:
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        print("heard")
