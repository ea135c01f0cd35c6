"""Every transfer, with the heap locked."""

b = bytearray(700)
c = bytearray(b"\x80")
u = bytearray(8)
v = memoryview(b)
uart.write(b"12345678")
time.sleep_ms(50)


def hot():
    cs(0)
    spi.write(c)
    spi.readinto(b)
    cs(1)
    cs.value(0)
    spi.write_readinto(c, c)
    cs.value(1)
    i2c.readfrom_mem_into(0x48, 3, u)
    i2c.writeto_mem(0x48, 3, u)
    i2c.writeto(0x48, c)
    i2c.readfrom_into(0x48, u)
    spi.readinto(v)
    uart.any()
    uart.readinto(u, 4)
    uart.write(c)
    time.ticks_ms()
    time.ticks_us()
    time.ticks_diff(5, 3)
    time.ticks_add(5, 3)
    time.sleep_us(10)
    time.sleep_ms(1)


micropython.heap_lock()
for _ in range(3):
    hot()
micropython.heap_unlock()
print("done")
