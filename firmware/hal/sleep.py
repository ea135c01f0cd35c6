"""Sleep of the chip, and the memory that lives through a deep one. Only a node that sleeps reads this.

An ESP32 sleeps deep: it wakes in a reset, and of its memory 2 kB are as they were. An RP2040 sleeps light: all of its
memory lives, and its timer goes on. In v1.27 an RP2040 whose watchdog bites during a light sleep does not start again
(micropython#17228), so no sleep there is longer than half of the watchdog's time.
"""

import time

import machine
from micropython import const

_ROOM = const(2048)  # bytes of machine.RTC().memory
_MARK = const(4)
_LIGHT_MS = const(4000)
_READINGS = const(8)
_TICK_MS = const(100)

if False:  # types alone: never compiled
    from collections.abc import Callable

# Whether the chip has memory that lives through a deep sleep.
deep: bool = hasattr(machine.RTC(), "memory")


def retained() -> bytes:
    """What the deep sleep that has just ended was begun with, once; b"" after any other start."""
    if not deep:
        return b""
    memory = machine.RTC().memory
    data = memory()
    if len(data) <= _MARK:
        return b""  # a mark that the watchdog left, for hal.kept
    memory(b"")  # what it says of nonces is true once, and after this wake alone
    return data if machine.reset_cause() == machine.DEEPSLEEP_RESET else b""


def room() -> int:
    """Bytes that live through a deep sleep."""
    return _ROOM


def clock_ms() -> int:
    """A clock that goes on through a deep sleep, ms; it leaps when somebody sets the chip's date."""
    return time.time_ns() // 1_000_000


def sleep_deep(data: "memoryview", ms: int, pin: int = -1) -> None:
    """Sleep deep for so long, or until that GPIO is high; the chip wakes in a reset, and `retained` gives the data."""
    machine.RTC().memory(data)
    if pin >= 0:
        _wake_by(pin)
    machine.deepsleep(max(ms, 1))


def _wake_by(pin: int) -> None:
    try:
        import esp32
    except ImportError:
        return
    line = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_DOWN)
    # the C3 has the one, the chips with an ultra-low-power part the other
    (getattr(esp32, "wake_on_gpio", None) or esp32.wake_on_ext1)((line,), esp32.WAKEUP_ANY_HIGH)


def sleep_light(ms: int) -> None:
    """Sleep light for so long, but for four seconds at the most."""
    machine.lightsleep(min(ms, _LIGHT_MS))


def radio_off() -> None:
    """Take the radio's power, where the chip is another one; whoever wants it next gives it back."""
    if not deep:
        import network

        network.WLAN(network.WLAN.IF_STA).deinit()


def radio_on(begin: "Callable", alive: "Callable") -> None:
    """Call `begin`, which starts the radio after `radio_off`, with a timer beside it that calls `alive` meanwhile.

    In v1.27 an RP2040 that waits for its Bluetooth to start may wait for an event that has already been, for up to 15 s
    (micropython#14097), and its watchdog bites. The timer has it look again.
    """
    timer = machine.Timer(-1, period=_TICK_MS, callback=lambda timer: alive())
    try:
        begin()
    finally:
        timer.deinit()


class Battery:
    """The voltage of a battery behind a divider that leaves one of `ratio` parts of it to the ADC of a GPIO.

    Raises ValueError for a GPIO without an ADC.
    """

    def __init__(self, pin: int, ratio: float) -> None:
        self._adc = machine.ADC(machine.Pin(pin))
        self._ratio = ratio

    def volts(self) -> float:
        """The mean of some readings."""
        read = getattr(self._adc, "read_uv", None)  # calibrated, on an ESP32
        total = 0.0
        for _ in range(_READINGS):
            total += read() * 1e-6 if read else self._adc.read_u16() * 3.3 / 65535
        return total / _READINGS * self._ratio
