"""A node that has learned one bearing is given another, and the first again."""

import json

from node_condition.rig import Node

first = Node()
for _ in range(3):
    first.measure()
other = Node("6308")
again = Node()
print(
    json.dumps(
        [
            other.problem,
            other.diagnosis.baseline.learned,
            other.diagnosis.running_s,
            again.problem,
            again.diagnosis.baseline.learned,
        ]
    )
)
