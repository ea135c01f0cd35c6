"""A stream of frames in pieces of 1000 bytes."""

import json
from binascii import a2b_base64

from quaver_wire.frames import Frames

frames, found = Frames(), []
data = a2b_base64(argument)
for start in range(0, len(data), 1000):
    found += [[kind, item.decode()] for kind, item in frames.feed(data[start : start + 1000])]
found += [[kind, item.decode()] for kind, item in frames.idle()]
print(json.dumps([len(found), frames.refused, frames.interrupted, found, len(frames._held)]))
