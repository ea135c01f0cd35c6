"""A node that has learned one of three classes and half of another is restarted; then argument's steps, in turn."""

import json
import os

from dsp.baseline import Baseline
from dsp.classes import Classes
from dsp.diagnosis import Diagnosis
from dsp_classes.rig import USUAL
from dsp_diagnosis.machine import measured
from node.condition import Condition

path = argument + "/condition.json"


class Node:
    def __init__(self, bounds=(200, 500)):
        self.diagnosis = Diagnosis(Baseline(3))
        self.classes = Classes(self.diagnosis, "power_w", list(bounds)) if bounds else None
        self.condition = Condition(self.diagnosis, path, repr(bounds), self.classes)
        self.problem = self.condition.restore()

    def measure(self, power_w, seconds=600):
        m = measured(rms_g=USUAL[power_w])
        if self.classes:
            self.classes.run(m, None, seconds, True, power_w)
        else:
            self.diagnosis.run(m, None, seconds)
        return self.condition.save()

    def state(self):
        counts = [baseline.count() for baseline, _ in self.diagnosis.parts]
        return [self.problem, counts, self.diagnosis.running_s]


def files():
    return sorted(os.listdir(argument))


said = {}
node = Node(())  # a machine that was taken for one of a single load
for _ in range(4):
    node.measure(100)
said["one"] = [Node(()).state(), files()]
node = Node()
said["new"] = node.state()
for power_w in (100, 300, 100, 300, 100):
    node.measure(power_w)
said["learned"] = [Node().state(), files()]
node = Node()
said["written"] = [node.measure(100, 1200) for _ in range(4)]
node.classes.relearn(1)
node.condition.forget(1)
node.condition.save()
said["relearned"] = Node().state()
with open(argument + "/condition2.json", "w") as file:
    file.write("{")
said["corrupt"] = Node().state()
said["again"] = Node(()).state()
print(json.dumps(said))
