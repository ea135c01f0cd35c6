"""What a node is sent, until there is time for it: a short queue, the task that empties it, and what was refused.

A message is taken from any link at once and worked on later. All that it takes to open and obey one (service/) is
read from flash when the first one comes, and given back when none has come for a while: it fills 15 kB of heap.
"""

import asyncio
import gc
import time

from micropython import const

from node.room import drop, load, tidy

LONGEST = const(560)  # bytes of a sealed command
_WAITING = const(8)
_TICK_S = const(5)
_BUSY_MS = const(5000)
_IDLE_MS = const(120_000)
_TOLD_EVERY_MS = const(600_000)  # an event is a write to flash, and anybody at the broker can send nonsense
_OBEYING = const(1)  # a place of build.hang
_FETCH_S = const(20)
_AGAIN_S = const(60)
_SERVICE = ("service", "command", "quaver_wire.decoder", "quaver_wire.items")


class Mailbox:
    """parts: what service.obey works on, by name: "name" (the node's), "recorder", "uptime", "outbox", "measuring",
    "supervisor", "log" and "trial" (of node.trial while one runs, else None); "short" as of hal.chip.common, or None;
    "stays": whether what opens and obeys is not given back.

    leaving: what the link is to call once nothing waits and the broker has forgotten this node; None unless it retires.
    wanted: the content that the link is to bring next, a topic below the site, or None. updating: "fetch" or "trial",
    what flash has begun of an update. on_trial: whether the firmware is: no command is obeyed before it is confirmed.
    acknowledged: whether the broker, or a gateway, has taken from this start what confirms it.
    """

    def __init__(self, parts, updating=""):
        self._parts = parts
        self._waiting = []
        self._came = asyncio.Event()
        self._heard = None
        self._service = None
        self._obeying = False
        self._state = None
        self._refused = {}
        self._told = None
        self._begun = updating
        self._updating = None
        self._brought = None
        self.leaving = None
        self.is_online = False
        self.acknowledged = False
        self.wanted = None
        self.on_trial = updating == "trial"

    def take(self, message):
        """Queue a message (bytes) of any link; returns at once."""
        if not 0 < len(message) <= LONGEST:
            self.refuse("malformed")
        elif len(self._waiting) >= _WAITING:
            self.refuse("busy")
        else:
            self._waiting.append(message)
            self._came.set()
        self._heard = time.ticks_ms()

    def busy(self):
        """Whether a command came in the last seconds: more are likely, and the link should look often."""
        return self._heard is not None and time.ticks_diff(time.ticks_ms(), self._heard) < _BUSY_MS

    def working(self):
        """Whether a command waits or is being obeyed, or a release is being fetched."""
        return bool(self._waiting) or self._obeying or (self._updating is not None and not self.on_trial)

    def online(self):
        """The link works: a configuration on trial is accepted."""
        self.is_online = True
        trial = self._parts["trial"]
        if trial and trial.running:
            try:
                trial.accept()
                print("node: config accepted")
            except OSError as error:  # not accepted, so this trial ends like one that failed
                print("node: config:", error)

    def offline(self):
        """The link is gone; to come back it may need the heap (TLS does)."""
        self.is_online = self.acknowledged = False
        self._tidy(0)

    async def fetch(self, topic):
        """What lies at a topic below the site; None when nothing has come although the link worked for so long."""
        self._brought = None
        self.wanted = topic
        left = _FETCH_S * 50
        while self._brought is None and left:
            await asyncio.sleep_ms(20)
            left -= self.is_online
        self.wanted = None
        brought, self._brought = self._brought, None
        return brought

    def bring(self, content):
        """Of the link: what was wanted has come."""
        if self.wanted:
            self._brought = content
            self.wanted = None

    def update(self):
        """Go on with the update that flash has begun, if it has (update.run)."""
        self._updating = asyncio.create_task(self._update())

    async def leave_update(self):
        """Do no more for an update, until `update` is called."""
        if self._updating:
            self._updating.cancel()
        while self._updating:
            await asyncio.sleep_ms(20)

    async def _update(self):
        try:
            while True:
                try:
                    return await load("update.run").run(self, self._parts)
                except (OSError, MemoryError) as error:
                    if self.on_trial and isinstance(error, MemoryError):
                        self._parts["reset"]()  # a version that leaves no memory; the old one comes back
                    print("node: update:", error)
                drop("update", "quaver_wire.decoder")
                await asyncio.sleep(_AGAIN_S)
        finally:
            self._updating = self.wanted = None
            drop("update", "quaver_wire.decoder")

    def refuse(self, why):
        """Count a message that is not taken."""
        self._refused[why] = self._refused.get(why, 0) + 1
        self._tell()

    def _tell(self):
        now = time.ticks_ms()
        if self._refused and (self._told is None or time.ticks_diff(now, self._told) >= _TOLD_EVERY_MS):
            for why, count in self._refused.items():
                self._parts["recorder"].event("message_refused", why, count=count)
            self._refused.clear()
            self._told = now

    async def run(self):
        progress = self._parts["supervisor"].progress
        if self._begun:
            self._begun = ""
            self.update()
        while True:
            progress("commands")
            trial = self._parts["trial"]
            if self._waiting and not (trial and trial.running) and not self.on_trial:
                progress("commands", _OBEYING)
                await self._obey(self._waiting.pop(0))
                continue
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), _TICK_S)
            except asyncio.TimeoutError:
                self._tell()
                self._tidy(_IDLE_MS)

    async def _obey(self, message):
        self._obeying = True
        try:
            tidy()
            short, stays = self._parts.get("short"), self._parts.get("stays")
            if short and (stays or self._service is None) and short(stays):
                raise MemoryError("no room beside the network")
            if self._service is None:
                self._service = load("service.obey").Service(self._parts, self._state, self)
            why = await self._service.obey(message)
        except MemoryError as error:
            print("node: commands: {}, {} bytes free".format(error, gc.mem_free()))
            why = "memory"
            if self._service is None:
                drop(*_SERVICE)  # what of it was read
        finally:
            self._obeying = False
        self._heard = time.ticks_ms()
        if why == "memory":
            self._tidy(0)
        if why:
            self.refuse(why)

    def _tidy(self, idle_ms):
        """Give back the heap of what opens and obeys when it was idle for so long; what was taken stays known."""
        if not self._service or self._obeying or self._service.ending:
            return
        if time.ticks_diff(time.ticks_ms(), self._heard) >= idle_ms:
            self._state = self._service.state()
            self._service = None
            drop(*_SERVICE)
