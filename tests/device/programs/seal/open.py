"""Messages are opened; given: node_id, key, messages, in hex."""

import binascii
from service.downlink import Downlink, Refused
from service.replay import Window
from node.seal import channel

un = binascii.unhexlify
node = un(node_id)
downlink = Downlink(node, {1: channel(un(key), node, 1, "downlink")}, Window())
said = []
for message in messages:
    try:
        said.append(downlink.open("command", un(message)))
    except Refused as error:
        said.append(error.args[0])
print(said)
