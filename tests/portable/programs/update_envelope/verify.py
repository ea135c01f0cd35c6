"""Checks signatures as a node does. Given: (key, digest, signature), hexadecimal."""

import json
from binascii import unhexlify as un

from update import p256

found = []
for key, digest, signature in argument:
    for last in p256.verify(un(key), un(digest), un(signature)):
        pass
    found.append(last)
print(json.dumps(found))
