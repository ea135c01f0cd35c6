"""Bytes there and back, with their time."""

a = time.ticks_us()
uart.write(b"0123456789")
print(uart.any(), uart.txdone())
uart.flush()
print(time.ticks_diff(time.ticks_us(), a) // 1000, uart.any())
b = bytearray(16)
print(uart.readinto(b), b[:10], time.ticks_diff(time.ticks_us(), a) // 1000)
print(uart.read(4))
