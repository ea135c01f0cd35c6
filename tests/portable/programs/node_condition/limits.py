"""A node that has learned is restarted, and a vibration three times as strong comes."""

import json

from node_condition.rig import Node

first = Node()
for _ in range(3):
    first.measure()
second = Node()
saved = [second.measure(0.9) for _ in range(13)]
print(json.dumps([second.diagnosis.level, saved, Node().diagnosis.running_s]))
