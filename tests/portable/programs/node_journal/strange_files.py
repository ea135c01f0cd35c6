"""Files in the journal's folder that are not the journal's."""

import json
import os

from node_journal.rig import Node, restart

a = Node(1)
for _ in range(20):
    a.put()
for name in ("telemetry/readme", "telemetry/99999999999", "telemetry/-3", "event/7x"):
    with open("/n/journal/" + name, "wb") as file:
        file.write(b"not ours")
os.mkdir("/n/journal/telemetry/500")
b = restart(2)
b.put()
print(json.dumps(b.send()))
