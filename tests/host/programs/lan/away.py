import network
import socket
import time

wlan = network.WLAN(0)
wlan.active(True)


def join():
    wlan.connect("x", "y")
    while not wlan.isconnected():
        time.sleep_ms(500)
        if wlan.status() < 0:
            wlan.connect("x", "y")


join()
link = socket.socket()
link.connect(("10.0.0.1", 7))
link.settimeout(5)  # what is waited for when the radio goes does not come
print("ready")
try:
    while True:
        link.write(b"here")
        link.recv(10)
        time.sleep_ms(200)
except OSError:
    print("aborted")
link.close()
join()
link = socket.socket()
link.connect(("10.0.0.1", 7))
link.write(b"back")
print("again", link.recv(10))
print("done")
