"""Measurements that are not trusted, while a node learns."""

import json

from node_condition.rig import Node

node = Node()
print(json.dumps([node.measure(), [node.measure(trusted=False) for _ in range(12)]]))
