"""Boots are counted while their files are lost and changed."""

import json
import os

from node import store
from node_journal.rig import spoil

plain = [store.next_boot("/n/boot") for _ in range(4)]
leapt = []
for change in (
    lambda: os.remove("/n/boot.0"),
    lambda: os.remove("/n/boot.1"),
    lambda: open("/n/boot.0", "w").close(),
    lambda: spoil("../boot.1", lambda data: data[:1]),
):
    change()
    leapt.append(store.next_boot("/n/boot"))
for name in ("/n/boot.0", "/n/boot.1"):
    with open(name, "wb") as file:
        file.write(b"7 7")
print(json.dumps([plain, leapt, store.next_boot("/n/boot")]))
