"""Messages that can't be sealed, and one that can."""

import json

from node.seal import channel

c = channel(bytes(32), bytes(8), 1, "uplink", 64)
said = []
for boot, size in ((0, 5), (1, 65), (1, 64)):
    try:
        said.append(c.seal(bytearray(200), "event", boot, 1, bytes(size), size))
    except ValueError as e:
        said.append(str(e))
print(json.dumps(said))
