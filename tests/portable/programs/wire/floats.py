"""Records, encoded and decoded again."""

import json

from quaver_wire import cbor
from quaver_wire.decoder import decode

b = bytearray(512)
out = []
for r in argument:
    end = cbor.encode(b, r)
    out.append([list(b[:end]), decode(b, None, end)])
print(json.dumps(out))
