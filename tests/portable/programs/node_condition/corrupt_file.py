"""A node starts from a file that is none of a node's, and learns."""

import json

from node_condition.rig import Node

node = Node()
problem = node.problem
for _ in range(3):
    node.measure()
print(json.dumps([problem, Node().diagnosis.baseline.learned, Node().diagnosis.running_s]))
