"""The publishing task of a node that sleeps: it says goodbye when all is sent, and the node may sleep."""

from micropython import const

from node.publish import Publish

_LOOKS = const(2)  # at an empty outbox, a second apart: a broker hands over what it kept for this node at once


class _Rested(Exception):
    pass


class SleepyPublish(Publish):
    """As Publish. power: of node.power."""

    def __init__(self, power, **given):
        super().__init__(**given)
        self._power = power
        self._looks = 0
        self._pm = None

    async def run(self):
        while True:
            try:
                await super().run()
            except _Rested:
                pass
            except OSError as error:  # a network that is away is tried again behind the next measurement
                print("node: publish:", error)
            await self._power.nap("publish", self._radio)

    def _radio(self, on):
        """A radio that had no power has its driver's way of saving power, which delays each acknowledgement."""
        wlan = self._wifi._wlan
        if on:
            wlan.active(True)
            wlan.config(pm=self._pm)
        else:
            self._pm = wlan.config("pm")

    async def _send(self):
        mailbox = self._mailbox
        busy = mailbox and (mailbox.busy() or mailbox.working() or mailbox.wanted or mailbox.leaving)
        if busy or self._outbox.first() is not None:
            self._looks = 0
        else:
            self._looks += 1
            if self._looks > _LOOKS:
                self._looks = 0
                raise _Rested
        await super()._send()
