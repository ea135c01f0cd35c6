"""What MicroPython makes of messages, and what it finds in that."""

import json

from quaver_wire import wired

frames = wired.Frames(wired.NODE, wired.UPLINK_MAX)
buffer = bytearray(wired.frame_size(wired.UPLINK_MAX))
made = []
found = []
for message in argument:
    end = wired.put_frame(buffer, wired.NODE, bytes.fromhex(message))
    made.append(bytes(buffer[:end]).hex())
    found += [one.hex() for one in frames.feed(bytes(buffer[:end]))]
print(json.dumps([made, found]))
