"""Every file with its content, in lines that are no longer than a small heap allows."""

import os
from binascii import hexlify

PART = 1024


def walk(path):
    for entry in os.ilistdir(path or "/"):
        inner = path + "/" + entry[0]
        if entry[1] & 0x4000:
            walk(inner)
        else:
            print("({!r}, bytes.fromhex('".format(inner), end="")
            with open(inner, "rb") as file:
                part = file.read(PART)
                while part:
                    print(hexlify(part).decode(), end="")
                    part = file.read(PART)
            print("'))")


walk("")
