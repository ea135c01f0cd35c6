"""A socket that blocks, does not block, and has a time-out."""

s = socket.socket()
a = time.ticks_ms()
s.connect(socket.getaddrinfo("127.0.0.1", port)[0][-1])
s.settimeout(1)
s.write(b"abc")
print(s.read(3), time.ticks_diff(time.ticks_ms(), a) < 10)
s.setblocking(False)
print(s.read(1))
s.write(b"x")
time.sleep_ms(10)
print(s.read(5))
s.settimeout(3600)
a = time.ticks_ms()
try:
    s.recv(1)
except OSError as error:
    print(error.errno, time.ticks_diff(time.ticks_ms(), a) // 1000)
s.close()
