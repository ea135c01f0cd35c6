"""What the flash itself holds before and after a node is erased."""

import json
import os

from command.erase import erase
from cut_flash import mounted
from node import store
from node_trial.files import read

KEY, PASSWORD, CODE = "c0ffee" * 10 + "c0ff", "correct horse battery", b"7K2MXQ4TB0WNZ9RH"


def live():
    store.replace("/flash/session.code", CODE)
    store.replace("/flash/boot.0", b"41")
    store.replace("/flash/device.key", json.dumps({"generation": 1, "key": KEY}).encode())
    for n in range(3):
        store.replace(
            "/flash/config.json", json.dumps({"wifi": {"password": PASSWORD}, "more": "x" * 300 * n}).encode()
        )
    os.mkdir("/flash/journal")
    with open("/flash/journal/1", "wb") as file:
        file.write(b"record under wraps" * 300)


secrets = (KEY.encode(), PASSWORD.encode(), b"record under wraps")
image, _, _ = mounted(None, live)
before = [image.count(secret) > 0 for secret in secrets]
fed = []
image, _, _ = mounted(image, lambda: erase(("/journal/1",), "/flash", lambda: fed.append(1)))
after = [image.count(secret) for secret in secrets]
left = []
mounted(
    image,
    lambda: left.extend(sorted(os.listdir("/flash")) + [read("/session.code").decode(), read("/boot.0").decode()]),
)
print(json.dumps([before, after, left, len(fed) > 20]))
