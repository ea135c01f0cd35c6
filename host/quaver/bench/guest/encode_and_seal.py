"""How long a record takes to encode and to seal. Given: vectors and rounds."""

import binascii
import gc
import time
from node.seal import channel
from quaver_wire import cbor

seals = None
plain = bytearray(640)
sealed = bytearray(688)
found = []
for vector in vectors:
    key, node = binascii.unhexlify(vector["device_key"]), binascii.unhexlify(vector["node_id"])
    seals = channel(key, node, vector["generation"], "uplink", len(plain))
    record = vector["record"]
    best = None
    for _ in range(rounds):
        gc.collect()
        start = time.ticks_us()
        end = cbor.encode(plain, record, vector["leaf"])
        middle = time.ticks_us()
        length = seals.seal(sealed, vector["leaf"], vector["boot"], vector["seq"], plain, end)
        stop = time.ticks_us()
        times = time.ticks_diff(middle, start), time.ticks_diff(stop, middle)
        if best is None or sum(times) > sum(best):
            best = times
    found.append((best[0], best[1], binascii.hexlify(sealed[:length])))
print(found)
