"""The buses of the board."""

import machine
import micropython
import time
import gc

spi = machine.SPI(0, 10_000_000, sck=machine.Pin(18), mosi=machine.Pin(19), miso=machine.Pin(16))
cs = machine.Pin(17, machine.Pin.OUT, value=1)
i2c = machine.I2C(0, scl=machine.Pin(5), sda=machine.Pin(4), freq=400_000)
uart = machine.UART(1, 9600, timeout=100, timeout_char=10)
