"""The firmware whole, but its sensors: what a record says is made up, and every fiftieth has an event beside it."""

from build import node as app
from node import measure, room, start

once = measure.Measure.once
made = 0


async def made_up(self):
    global made
    recorder = self._recorder
    await once(self)
    made += 1
    if made % 50 == 0:
        recorder.event("level", "rms", level=made // 50 % 3, value=0.25, limit=0.2)
    if made % 10 == 0:
        print("boot", recorder._boot, "made", made)
    if len(recorder._outbox) <= 1:  # the record of this moment
        print("empty")


measure.Measure.once = made_up
supervisor, watchdog = app.build()
app = None
room.drop("build", "hal.chip", "board")
start.run(supervisor, watchdog)
