"""An outbox that is published to a broker that fails when told to."""

import asyncio

from __main__ import argument
from links.errors import LinkError
from node.outbox import Outbox
from node.publish import Publish
from node.supervisor import Supervisor


class Wifi:
    async def up(self, limit_ms):
        await asyncio.sleep_ms(100)


class Broker:
    # takes what it gets; `script` says which publish fails
    def __init__(self, failures):
        self.failures = failures
        self.got = []
        self.count = 0
        self.sessions = 0

    def up(self):
        self.sessions += 1

    def down(self):
        pass

    def idle(self):
        pass

    async def publish(self, topic, payload, limit_ms, retain=False):
        self.count += 1
        if self.count in self.failures:
            raise LinkError("gone")
        self.got.append([topic, payload.decode(), retain])


class Recorder:
    def account(self):
        pass

    def status(self, state):
        return b"on"


outbox = Outbox(1, argument)


def run(broker, seconds):
    deaths = []
    publishing = Publish(Wifi(), broker, outbox, "s/a/l/m/n/", Recorder(), asyncio.Lock(), lambda *_: None)
    supervisor = Supervisor(lambda name, error: deaths.append(str(error)), None)
    supervisor.add("publish", publishing.run, 60)

    async def main():
        task = asyncio.create_task(supervisor.run())
        await asyncio.sleep(seconds)
        task.cancel()

    asyncio.run(main())
    return deaths
