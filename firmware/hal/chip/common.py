"""What every chip shares: buses, pins, radio and watchdog, built from the rendered board."""

import machine

from hal import kept, restart
from hal.watchdog import Watchdog

_RESET_NAMES = ("PWRON_RESET", "HARD_RESET", "WDT_RESET", "DEEPSLEEP_RESET", "SOFT_RESET")


class Hal:
    """What every MicroPython port answers alike; a port's own file changes what differs."""

    WATCHDOG_MAX_MS = 8000
    TIMER = -1  # the timer that feeds the watchdog at the REPL; -1 is a virtual one, where the port has them
    short: "object" = None  # short(stays), of hal.held: no memory to obey a command; None where only trying tells

    reset = staticmethod(restart.reset)

    def __init__(self, board):
        self.board = board
        self._buses = {}

    def _wiring(self, name, kind):
        if name not in self.board.BUSES or not name.startswith(kind):
            raise ValueError("board {} has no {}bus {}".format(self.board.NAME, kind and kind + " ", name))
        return self.board.BUSES[name]

    def bus(self, name, kind=""):
        """The bus that the board file calls `name` ("spi0", "i2c0", "uart1"), made once.

        kind: what it has to be, "spi" for one. Raises ValueError when the board has no such bus.
        """
        kind, number, *wires = self._wiring(name, kind)
        if name not in self._buses:
            self._buses[name] = getattr(self, "_" + kind)(number, *wires)
        return self._buses[name]

    def uart(self, name, baudrate, parity, rxbuf=256):
        """A UART with settings of its own: baudrate 0 for the board file's; parity "none", "even" or "odd".
        rxbuf: bytes that it holds until they are read.

        Raises ValueError when the board has no such UART.
        """
        _, number, tx, rx, own = self._wiring(name, "uart")
        return self._uart(number, tx, rx, baudrate or own, None if parity == "none" else int(parity == "odd"), rxbuf)

    def _spi(self, number, sck, mosi, miso, baudrate):
        pin = machine.Pin
        return machine.SPI(number, baudrate=baudrate, polarity=1, phase=1, sck=pin(sck), mosi=pin(mosi), miso=pin(miso))

    def _i2c(self, number, scl, sda, frequency):
        return machine.I2C(number, scl=machine.Pin(scl), sda=machine.Pin(sda), freq=frequency)

    def _uart(self, number, tx, rx, baudrate, parity=None, rxbuf=256):
        """Pulled up: a transceiver that sends lets go of the receive line, and an RP2040 pulls that down by itself."""
        rx = machine.Pin(rx, machine.Pin.IN, machine.Pin.PULL_UP)
        tx = machine.Pin(tx)
        return machine.UART(number, baudrate=baudrate, parity=parity, tx=tx, rx=rx, timeout=0, rxbuf=rxbuf)

    def one_wire(self, pin):
        """A 1-Wire line on a GPIO, by MicroPython's own timing. It needs a pull-up of 4.7 kΩ; the pin's is too weak."""
        from onewire import OneWire

        return OneWire(machine.Pin(pin))

    def output(self, pin, value):
        """A GPIO as an output, at `value` from the start (a chip select must not glitch low)."""
        return machine.Pin(pin, machine.Pin.OUT, value=value)

    def input(self, pin):
        """A GPIO as an input, pulled up: a broken wire reads high."""
        return machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)

    def at_once(self, pin, handler, falling=False):
        """Have handler(pin) called at each rising edge of a GPIO, or each falling one; returns the pin's interrupt.

        Pulled up: most pickups can only pull down, and on a broken wire there must be no mains hum to count.
        """
        edge = machine.Pin.IRQ_FALLING if falling else machine.Pin.IRQ_RISING
        return machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP).irq(handler, edge, hard=True)

    def on_edge(self, pin, handler):
        """Have handler(pin) called at each edge of a GPIO, at once; pulled up, as by at_once."""
        pin = machine.Pin(pin, machine.Pin.IN, machine.Pin.PULL_UP)
        pin.irq(handler, machine.Pin.IRQ_RISING | machine.Pin.IRQ_FALLING, hard=True)

    def radio(self):
        """The Wi-Fi station interface."""
        import network  # which the image of a board without a radio has not

        return network.WLAN(network.WLAN.IF_STA)

    def uuid(self, value):
        """A Bluetooth UUID: of a text of 128 bits, or of a 16-bit number."""
        import bluetooth

        return bluetooth.UUID(value)

    def watchdog(self):
        """A running hardware watchdog, with the longest time that the chip has; it can't be stopped again."""
        return Watchdog(self.WATCHDOG_MAX_MS, self.TIMER, self._kept().set)

    def _kept(self):
        return kept.Memory()

    def bitten(self):
        """Whether the watchdog's time had run out."""
        return machine.reset_cause() == machine.WDT_RESET

    def mark(self):
        """The number that the watchdog was given before it bit, once, or 0."""
        store = self._kept()
        number = store.get()
        if number:
            store.set(0)
        return number if self.bitten() else 0

    def unique_id(self):
        """The chip's own id as hexadecimal text."""
        return "".join("{:02x}".format(b) for b in machine.unique_id())

    def reset_cause(self):
        """Why the chip started, as the name of machine's constant."""
        cause = machine.reset_cause()
        for name in _RESET_NAMES:
            if getattr(machine, name, None) == cause:
                return name
        return str(cause)
