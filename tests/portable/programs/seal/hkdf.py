"""HKDF; argument: rows of secret, salt, info and output, in hex."""

import binascii
import json

from quaver_wire.hkdf import hkdf

un = binascii.unhexlify
out = [binascii.hexlify(hkdf(un(s), un(t), un(i), len(o) // 2)) for s, t, i, o in argument]
print(json.dumps([each.decode() for each in out]))
