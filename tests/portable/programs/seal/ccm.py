"""Encrypts and decrypts each vector, twice."""

import binascii
import json

from node.seal import Ccm

un = binascii.unhexlify
out = bytearray(600)
back = bytearray(600)
answers = []
for key, nonce, additional, plain in argument:
    ccm = Ccm(un(key))
    nonce, additional, plain = un(nonce), un(additional), un(plain)
    for again in range(2):  # the second message shows that the chain began anew
        end = ccm.encrypt(nonce, additional, plain, len(plain), out, 3)
        fits = ccm.decrypt(nonce, additional, out, 3, end - 3, back) and bytes(back[: len(plain)]) == plain
        altered = 0
        for i in range(3, end):
            out[i] ^= 0x40
            altered += ccm.decrypt(nonce, additional, out, 3, end - 3, back) or any(back[: len(plain)])
            out[i] ^= 0x40
        answers.append([binascii.hexlify(out[3:end]).decode(), fits, altered])
print(json.dumps(answers))
