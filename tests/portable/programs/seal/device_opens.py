"""The device opens each message, with restarts in between."""

import binascii
import json

from node.seal import channel
from service.downlink import Downlink, Refused
from service.replay import Window

un = binascii.unhexlify
node, keys, messages = argument
node = un(node)
window = Window()
downlink = Downlink(node, {g: channel(un(k), node, g, "downlink") for g, k in keys}, window)
answers = []
for message_class, message in messages:
    if message_class == "restart":
        window = Window(window.state())
        downlink = Downlink(node, downlink.channels, window)
        continue
    try:
        answers.append(downlink.open(message_class, un(message))["id"])
    except Refused as error:
        answers.append(error.args[0])
print(json.dumps([answers, downlink.counts, sorted(downlink.channels)]))
