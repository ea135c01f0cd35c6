"""The device seals each message."""

import binascii
import json

from node.seal import channel

un = binascii.unhexlify
key, node, generation, messages = argument
seals = channel(un(key), un(node), generation, "uplink")
out = bytearray(600)
print(
    json.dumps(
        [
            binascii.hexlify(out[: seals.seal(out, message_class, boot, seq, un(plain), len(plain) // 2)]).decode()
            for message_class, boot, seq, plain in messages
        ]
    )
)
