"""A session that breaks before its records are acknowledged."""

import json

from node_measure.publishing import Broker, outbox, run

for n in range(3):
    outbox.put("telemetry", n, b"t%d" % n)
outbox.put("event", 3, b"alarm")
broker = Broker({2, 5})  # the alarm's first try, and one telemetry
deaths = run(broker, 20)
print(json.dumps([broker.got, broker.sessions, deaths]))
