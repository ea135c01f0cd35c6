"""A fault that shows at the higher load alone, at a steady height, while the machine runs there more and more.

Then a rise at that load, an hour in two.
"""

import json

from dsp_classes.rig import Rig

HOURS = 300


def told(rig, load, times):
    rig.run(load, times, seconds=3600)
    return "trend" in rig.diagnosis.causes


steady = Rig((200,))
steady.learn(100, 300)
share = sum([told(steady, 300, 1.9) if i % 30 < i // 10 else told(steady, 100, 1.0) for i in range(HOURS)])
rising = Rig((200,))
rising.learn(100, 300)
rise = [max(1.0, 2.4 ** (2 * i / HOURS - 1)) for i in range(HOURS)]
alarms = [i for i in range(HOURS) if told(rising, 300, rise[i]) | told(rising, 100, 1.0)]
print(json.dumps([share, rise[alarms[0]] if alarms else None]))
