"""Reads each item and writes it again."""

import binascii
import json

from quaver_wire.decoder import loads
from quaver_wire.fields import WireError
from quaver_wire.items import put_item

b = bytearray(4096)
answers = []
for data in argument:
    data = binascii.unhexlify(data)
    try:
        value = loads(data)
        end = put_item(b, 0, value, 4)
        answers.append(1 if bytes(b[:end]) == data else 2)
    except WireError as error:
        answers.append(str(error))
print(json.dumps(answers))
