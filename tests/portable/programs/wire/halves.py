"""Floats in their shortest form; argument: their bits as binary32."""

import json
import struct

from quaver_wire.primitives import put_float

b = bytearray(8)
out = []
for bits in argument:
    v = struct.unpack(">f", bits.to_bytes(4, "big"))[0]
    out.append(int.from_bytes(b[: put_float(b, 0, v)], "big"))
print(json.dumps(out))
