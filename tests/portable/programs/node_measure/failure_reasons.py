"""Why a sensor fails: in the event, and on the console."""

import builtins
import json
import sys

import node.failure
from node.measure import Sensor
from node_measure.measuring import measure, recorder, times

said = []
builtins.print, plain = lambda *words: said.append(" ".join(words)), print


async def read():
    raise errors.pop()


def gone(*arguments):
    raise MemoryError


for error in (OSError(19), OSError(202, 0x6B), OSError(259), OSError("a text"), ValueError("sensor_failed"), OSError()):
    errors = [error]
    times(measure([Sensor("vibration", lambda: None, read)]), 1)
node.failure.load = gone
errors = [OSError(202, 0x6B)]
times(measure([Sensor("vibration", lambda: None, read)]), 1)
plain(json.dumps([[event[5:] for event in recorder.events], said, "quaver_wire.reasons" in sys.modules]))
