"""A node learns, is restarted, and learns on."""

import json
import os

from node_condition.rig import Node, path

first = Node()
saved = [first.measure(0.3), first.measure(0.31), first.measure(0.001)]
second = Node()
saved.append(second.measure(0.32))
third = Node()
print(
    json.dumps(
        [
            saved,
            first.problem,
            second.diagnosis.baseline.median[0],
            third.diagnosis.baseline.median[0],
            third.diagnosis.baseline.learned,
            third.diagnosis.running_s,
            os.listdir(path.rpartition("/")[0]),
        ]
    )
)
