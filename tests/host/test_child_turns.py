"""An emulated chip's turns of virtual time: what is done at one moment is done before it goes on, whoever is late."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from quaver.emulator.child_board import _LanTurns
from quaver.emulator.clock import Clock
from quaver.emulator.engine import Engine
from tests.waiting import wait_until

SECOND = 1_000_000_000


def test_a_chip_whose_power_is_back_waits_for_who_gave_it() -> None:
    """Its first turn lasts until somebody else does something, however long the network's thread takes."""
    clock = Clock()
    network = clock.join("network")
    clock.live(network)
    port: Any = SimpleNamespace(power_off=lambda: None, events=list)
    granted: list[int] = []
    turns = _LanTurns(clock, "chip", lambda length, events: granted.append(length), port)
    try:
        turns.ask(2 * SECOND, [])
        clock.wait_until(network, SECOND)
        turns.power(False)
        clock.wait_until(network, 4 * SECOND)
        turns.power(True)
        assert turns._member.until == 4 * SECOND  # it does not run beside the network
        clock.begin(network, 4 * SECOND + 77)
        wait_until(lambda: granted)
        assert granted == [77]
    finally:
        turns.stop()


def engine_of(clock: Any, run_batch: Callable[[object], None], **given: Any) -> Engine:
    """One whose chip waits for nobody, and is not at its prompt unless `given` says so."""
    clock.create_alarm = lambda end: SimpleNamespace(schedule=lambda length: None)
    given = {"resting": lambda: False, "turn": None, **given}
    return Engine(
        SimpleNamespace(clock=clock),
        real_time=False,
        run_batch=run_batch,
        after_batch=lambda: None,
        waiting=lambda: False,
        **given,
    )


def test_what_a_turn_brings_to_be_said_is_said_before_the_chip_goes_on() -> None:
    """Its moment is the turn's: the end of a batch depends on how fast this machine is."""
    done: list[str] = []
    turn = [0]

    async def next_turn() -> int:
        turn[0] += 1
        done.append("turn")
        if turn[0] == 1:
            engine.ask()  # a reset came with it, and closes a socket
        return SECOND

    def run_batch(batch: object) -> None:
        done.append("batch")
        engine.stop()

    async def settle() -> None:
        await asyncio.sleep(0)

    engine = engine_of(SimpleNamespace(nanos=0), run_batch, turn=next_turn, settle=settle)
    asyncio.run(engine.run())
    assert done == ["turn", "turn", "batch"]


def test_a_chip_at_its_prompt_waits_for_a_person() -> None:
    """It passes virtual time as real time passes, and goes on at once when somebody asks for something."""
    batches: list[int] = []
    clock = SimpleNamespace(nanos=0)

    def run_batch(batch: object) -> None:
        clock.nanos += 3600 * SECOND
        batches.append(len(batches))

    engine = engine_of(clock, run_batch, resting=lambda: True)

    async def main() -> None:
        running = asyncio.create_task(engine.run())
        for wanted in (1, 2, 3):
            while len(batches) < wanted:
                await asyncio.sleep(0)
            for _ in range(100):
                await asyncio.sleep(0)
            assert len(batches) == wanted  # the rest of the hour has not passed
            engine.call()
        engine.stop()
        await running

    asyncio.run(main())
