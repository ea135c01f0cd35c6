"""A record in a buffer that is too small."""

import json

from quaver_wire import cbor

try:
    cbor.encode(bytearray(8), argument)
except cbor.WireError as e:
    print(json.dumps(str(e)))
