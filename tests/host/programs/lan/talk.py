import network
import socket
import time

wlan = network.WLAN(0)
wlan.active(True)
wlan.connect("x", "y")
while not wlan.isconnected():
    time.sleep_ms(100)
link = socket.socket()
began = time.ticks_ms()
link.connect(("10.0.0.1", 7))
print("connected", time.ticks_diff(time.ticks_ms(), began))
for i in range(3):
    began = time.ticks_ms()
    link.write(b"hello %d" % i)
    print(link.recv(100), time.ticks_diff(time.ticks_ms(), began))
link.write(b"bye")
print("closed by the peer", link.recv(100))
link.close()
link = socket.socket()
try:
    link.connect(("10.0.0.1", 8))
except OSError as error:
    print("refused", error.errno)
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
link.settimeout(2)
for _ in range(20):
    link.sendto(b"?", ("10.0.0.1", 123))
    try:
        print("clock", float(link.recvfrom(48)[0]) > 2)
        break
    except OSError:
        pass
print("done")
