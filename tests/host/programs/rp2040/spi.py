"""The bus and its two selects."""

from machine import Pin, SPI

cs, cs2 = Pin(17, Pin.OUT, value=1), Pin(20, Pin.OUT, value=1)
spi = SPI(0, baudrate=8_000_000, polarity=1, phase=1, sck=Pin(18), mosi=Pin(19), miso=Pin(16))


def heard():
    cs2(0)
    r = spi.read(20)
    cs2(1)
    return r.split(b";")[0].decode()
