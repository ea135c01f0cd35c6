"""Reads every file, and writes one. Run after `about`."""

gc.collect()


def _read(path):
    try:
        if os.stat(path or "/")[0] & 0x4000:
            for entry in list(os.ilistdir(path or "/")):
                _read(path + "/" + entry[0])
        else:
            with open(path, "rb") as file:
                while file.readinto(_room):
                    pass
    except OSError as error:
        print("unreadable", (path or "/", error.errno or 5))


_room = bytearray(1024)
_read("")
try:
    with open("/doctor.new", "wb") as _file:
        _file.write(b"doctor")
    with open("/doctor.new", "rb") as _file:
        print("kept", _file.read() == b"doctor")
    os.remove("/doctor.new")
except OSError as error:
    print("unwritable", error.errno)
