"""The LED that shows which board it is, on the real MicroPython in virtual time."""

from collections.abc import Callable
from typing import Any

HEAD = """
import asyncio, time
from command.identify import blink
from node.room import drop

class Board:
    LED = 25

class Port:
    pins = []
    seen = []
    def output(self, pin, value):
        self.pins.append((pin, value))
        return self
    def value(self, value):
        self.seen.append((time.ticks_ms(), value))

async def main():
    began = time.ticks_ms()
    global blinking
    blinking = blink(Port(), Board, None)
    await asyncio.sleep_ms(1000)
    meanwhile()
    await asyncio.sleep_ms(9000)
    return [at - began for at, _ in Port.seen], [value for _, value in Port.seen]
"""


def test_twenty_blinks_in_five_seconds_and_asking_again_meanwhile_adds_none(micropython: Callable[..., Any]) -> None:
    code = """
meanwhile = lambda: blink(Port(), Board, blinking)
print(json.dumps([asyncio.run(main()), Port.pins]))
"""
    [[times, values], pins] = micropython(HEAD + code, virtual_time=True)
    assert values == [1, 0] * 20
    assert times == [125 * step for step in range(40)]
    assert pins == [[25, 0]]


def test_it_blinks_to_the_end_when_its_module_is_given_back(micropython: Callable[..., Any]) -> None:
    code = """
meanwhile = lambda: drop("command")
print(json.dumps(asyncio.run(main())))
"""
    _, values = micropython(HEAD + code, virtual_time=True)
    assert values == [1, 0] * 20


def test_a_board_without_an_led_says_so_by_its_console_alone(micropython: Callable[..., Any]) -> None:
    code = """
Board.LED = None
meanwhile = lambda: None
print(json.dumps([asyncio.run(main()), Port.pins]))
"""
    assert micropython(HEAD + code, virtual_time=True) == [[[], []], []]
