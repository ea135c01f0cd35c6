"""A part's 8-bit registers over I2C or SPI: `read` fills a buffer in one burst, `write` sets one. Neither allocates."""

if False:  # types alone: never compiled
    from machine import I2C, SPI, Pin


class I2cAccess:
    """i2c: a machine.I2C; address: the part's; step: what a register's number needs for a burst to count up."""

    def __init__(self, i2c: "I2C", address: int, step: int = 0) -> None:
        self._i2c = i2c
        self._address = address
        self._step = step
        self._one = bytearray(1)

    def read(self, register: int, buffer: bytearray | memoryview) -> None:
        self._i2c.readfrom_mem_into(self._address, register | self._step, buffer)

    def write(self, register: int, value: int) -> None:
        self._one[0] = value
        self._i2c.writeto_mem(self._address, register, self._one)


class SpiAccess:
    """spi: a machine.SPI in a mode of the part's; cs: its chip select, an output that is high.

    A transfer's first byte is the register's number, shifted left by `shift`; a read has the bits `read` in it too.
    """

    def __init__(self, spi: "SPI", cs: "Pin", read: int = 0x80, shift: int = 0) -> None:
        self._spi = spi
        self._cs = cs
        self._read = read
        self._shift = shift
        self._one = bytearray(1)
        self._pair = bytearray(2)

    def read(self, register: int, buffer: bytearray | memoryview) -> None:
        self._one[0] = register << self._shift | self._read
        self._cs(0)
        self._spi.write(self._one)
        self._spi.readinto(buffer)
        self._cs(1)

    def write(self, register: int, value: int) -> None:
        self._pair[0] = register << self._shift
        self._pair[1] = value
        self._cs(0)
        self._spi.write(self._pair)
        self._cs(1)
