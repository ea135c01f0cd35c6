"""What a node's composition root and a gateway's build alike: the seal, TLS, the date."""


def uplink(port):
    """The channel that seals this board's records, or None on a board that was never enrolled."""
    from node import keys, seal
    from quaver_wire.cose import node_id

    held = keys.load_key()
    if held is None:
        return None
    generation, key = held
    return seal.channel(key, node_id(bytes.fromhex(port.unique_id())), generation, "uplink", 600)


def mute(recorder):
    """Why nothing can be sealed, and so nothing may be said, or None."""
    from node import keys

    if keys.spoiled():
        recorder.mute = True
        return "{} is spoiled; enrol the node anew".format(keys.KEY)
    return "flash can't be written, so no boot is counted" if recorder.mute else None


def tls(broker):
    """What wraps the socket to the broker, or None for a plain one."""
    if not broker["ca"]:
        return None
    from links.tls import Tls

    return Tls(broker["ca"], broker["host"])


def timekeeper(config, clock):
    """What keeps the date by a time server, or None without one."""
    if not config["time_server"]:
        return None
    from hal.date import set_date
    from links import ntp
    from node.timekeeper import Timekeeper

    return Timekeeper(ntp.ask, config["time_server"], clock, set_date)
