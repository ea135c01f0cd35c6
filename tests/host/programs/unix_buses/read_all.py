"""A line, and all that follows."""

s = socket.socket()
s.connect((host, 1883))
print(s.readline(), s.read())
