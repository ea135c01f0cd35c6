"""A message in chunks, an advertisement, and the time."""

import json

from quaver_wire import chunks, gatt

message = bytes(range(200)) * 2
buffer = bytearray(244)
cut = [bytes(buffer[:n]) for n in chunks.split(message, 20, buffer)]
assembler = chunks.Assembler()
whole = [assembler.feed(c) for c in cut][-1]
advertisement = bytearray(31)
gatt.put_advertisement(advertisement, b"12345678", 3, 300)
parsed = gatt.parse_advertisement(advertisement) == (b"12345678", 3, 255)
made = gatt.time_message(1700000000000).hex()
print(json.dumps([[c.hex() for c in cut], whole == message, advertisement.hex(), parsed, made]))
