"""The table of commands and their arguments; read from flash when one comes and given back at once."""

# name -> (noted on flash before it is done, ((argument, type, lowest, highest), …)); lowest and highest: of text and
# bytes the length, of an object the number of keys. What only reads a part is not noted: a waveform has 18 of them.
TABLE = {
    "config_get": (False, (("at", int, 0, 65535),)),
    "config_set": (True, (("changes", dict, 1, 16),)),
    "config_validate": (True, (("changes", dict, 1, 16),)),
    "config_rollback": (True, ()),
    "identify": (True, ()),
    "measure": (True, ()),
    "waveform": (True, ()),
    "waveform_part": (False, (("at", int, 0, 1 << 20), ("crc", int, 0, 0xFFFFFFFF))),
    "relearn": (True, ()),
    "log": (False, (("at", int, 0, 65535),)),
    "reboot": (True, ()),
    "rotate": (True, (("key", bytes, 32, 32), ("generation", int, 1, 255))),
    "retire": (True, (("confirm", str, 1, 24),)),
}


def check(name, arguments):
    """Whether the command is to be noted; raises ValueError unless it and just these arguments are in the table."""
    if name not in TABLE:
        raise ValueError("unknown command")
    wanted = TABLE[name][1]
    if not isinstance(arguments, dict) or len(arguments) != len(wanted):
        raise ValueError("expected {} arguments".format(len(wanted)))
    for key, kind, low, high in wanted:
        if key not in arguments:
            raise ValueError("{}: missing".format(key))
        value = arguments[key]
        if type(value) is not kind or not low <= (value if kind is int else len(value)) <= high:
            raise ValueError("{}: expected {} from {} to {}".format(key, kind.__name__, low, high))
    return TABLE[name][0]
