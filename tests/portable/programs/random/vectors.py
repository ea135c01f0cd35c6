"""The HMAC_DRBG on MicroPython: what each vector of NIST's gives."""

import json
from binascii import hexlify, unhexlify

from node.drbg import Drbg

found = []
for vector in argument:
    given = {name: unhexlify(value) for name, value in vector.items()}
    drbg = Drbg(given["entropy"] + given["nonce"] + given["personalisation"])
    drbg.reseed(given["entropy_reseed"] + given["additional_reseed"])
    drbg.generate(128, given["additional_1"])
    found.append(hexlify(drbg.generate(128, given["additional_2"])).decode())
print(json.dumps(found))
