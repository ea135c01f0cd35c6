"""Several connections at once: whom the last free one is for, and where an error goes that ends one of them."""

import textwrap
from collections.abc import Callable
from typing import Any

GATEWAY = textwrap.dedent("""
    import asyncio
    import time

    from gateway.collector import Collector
    from links.errors import LinkError


    class Device:
        def __init__(self, number):
            self.number = number
            self.addr = bytes((number,))


    class Central:
        # Its nodes always have something. One of `silent` says nothing for ten seconds.
        def __init__(self, air, silent=()):
            self.air = air
            self.silent = silent
            self.taken = []

        async def scan(self, duration_ms, found):
            for _ in range(duration_ms // 100):
                await asyncio.sleep_ms(100)
                for number in self.air:
                    if found(Device(number), bytes((number,)) * 8, 5, 1, -50):
                        return

        async def connect(self, device):
            return device

        async def collect(self, device, link, unix_ms, commands, store, content):
            self.taken.append(device.number)
            if device.number in self.silent:
                await asyncio.sleep_ms(10_000)
                raise LinkError("node does not answer")
            if device.number == 99:
                raise KeyError("of our own")
            await asyncio.sleep_ms(100)
            return 1


    class Nothing:
        def room(self):
            return True

        def waits(self, node_id):
            return False

        def of(self, node_id):
            return []

        def has(self, node_id):
            return True

        def begin(self):
            pass

        def ms(self):
            return time.ticks_ms()


    def gateway(central):
        ids = [bytes((number,)) * 8 for number in range(100)]
        nothing = Nothing()
        return Collector(central, 4, ids, nothing, nothing, nothing, nothing, nothing, lambda name, place=0: None)


    async def limited(collector, seconds):
        try:
            await asyncio.wait_for(collector.run(), seconds)
        except asyncio.TimeoutError:
            pass
""")


def test_strangers_leave_the_last_connection_to_a_node_that_has_served(micropython: Callable[..., Any]) -> None:
    code = """
    async def main():
        central = Central([1], silent=(11, 12, 13, 14))
        collector = gateway(central)
        await limited(collector, 1)
        central.taken.clear()
        central.air = [11, 12, 13, 14, 1]
        await limited(collector, 5)
        beside, central.taken = central.taken, []
        central.air = [14]  # nobody else is heard, so it need not stay free
        await limited(collector, 4)
        return beside, central.taken

    print(json.dumps(asyncio.run(main())))
    """
    beside, alone = micropython(GATEWAY + textwrap.dedent(code), virtual_time=True)
    assert (beside[:3], set(beside[3:]), alone) == ([11, 12, 13], {1}, [14])


def test_an_error_of_our_own_in_a_connection_ends_the_task_that_the_supervisor_watches(
    micropython: Callable[..., Any],
) -> None:
    code = """
    async def main():
        central = Central([99, 1])
        collector = gateway(central)
        try:
            await collector.run()
        except KeyError as error:
            told = repr(error)
        central.air = [1]
        central.taken.clear()
        await limited(collector, 2)
        return told, central.taken

    print(json.dumps(asyncio.run(main())))
    """
    told, then = micropython(GATEWAY + textwrap.dedent(code), virtual_time=True)
    assert told == "KeyError('of our own',)" and then[:2] == [1, 1]
