"""The trial of the bench, over a journal that breaks a promise; argument: its folder, the complaint."""

import json
import sys

guest, complaint = argument
sys.path.insert(0, guest)  # before this folder, whose name is that of the module
import power_cuts
from node import journal, outbox


def forgetful(self):
    self.first()
    if self._head:
        self._head = None
        self.count -= 1
        self._at = self._after
    else:
        self.ram.pop(0)
        self.staged = max(0, self.staged - 1)


if complaint == "came back":  # an acknowledgement that stays in RAM: what was acknowledged comes back
    journal.Log.done = lambda self, floor: forgetful(self)
else:  # events that wait in RAM: an alarm that was put is not there
    outbox.Outbox._persist = lambda self, log: None
trial = power_cuts.Trial(8, 48, 256, 0, None, 8, {})
print(json.dumps(trial.run()["violations"]))
