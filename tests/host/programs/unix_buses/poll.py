"""A poll of a socket on which nothing comes."""

import select

s = socket.socket()
s.connect(("127.0.0.1", port))
p = select.poll()
p.register(s, select.POLLIN)
a = time.ticks_ms()
print(p.poll(100_000))
print(time.ticks_diff(time.ticks_ms(), a) // 1000)
p.unregister(s)
s.close()
