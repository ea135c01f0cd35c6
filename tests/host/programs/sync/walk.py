"""Every file with its content."""

import os


def walk(path):
    for entry in os.ilistdir(path or "/"):
        inner = path + "/" + entry[0]
        if entry[1] & 0x4000:
            walk(inner)
        else:
            print((inner, open(inner, "rb").read()))


walk("")
