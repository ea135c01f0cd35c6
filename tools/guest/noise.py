# Samples of one source of noise of the board, as its firmware takes them, in hexadecimal.
from binascii import hexlify

from hal import noise

fill = dict(noise.sources())[SOURCE]
buffer = bytearray(64)
for _ in range(COUNT // 64):
    fill(buffer)
    print(hexlify(buffer).decode())
