"""Files on the flash of the test, and two configurations."""


def read(name):
    try:
        with open("/flash" + name, "rb") as file:
            return file.read()
    except OSError:
        return None


OLD, NEW = b'{"node":"old"}', b'{"node":"new"}'
