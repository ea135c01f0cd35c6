"""Writes of a node, told on the console before and after each."""

import time
from node import store
from node.outbox import Outbox


def say(*words):
    print("J", *words)
    time.sleep_ms(3)


def payload(boot, seq):
    return b"%d %d " % (boot, seq) + bytes([seq & 255]) * (50 + 30 * (seq % 4))


def send(most):
    while most:
        most -= 1
        entry = outbox.first()
        if not entry:
            return
        say("sending", entry.boot, entry.seq, int(entry.payload == payload(entry.boot, entry.seq)))
        outbox.done(entry)
        say("done", entry.boot, entry.seq)


time.sleep(2)
boot = store.next_boot()
outbox = Outbox(boot)
say("boot", boot)
time.sleep(1)
seq = 0
for cycle in range(3):
    for n in range(4):
        outbox.put("event" if n == 2 else "telemetry", seq, payload(boot, seq))
        say("kept", boot, seq)
        seq += 1
    send(3)
send(1000)
say("end", boot)
