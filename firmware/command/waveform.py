"""waveform: what was measured last, which then stays for a while, for `waveform_part`."""

from binascii import crc32

from micropython import const

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = True

PART = const(480)  # bytes in one answer
_HOLD_MS = const(15_000)


async def run(node: "Service") -> dict:
    data, rate_hz, scale_g = node.vibration().waveform()
    node.wave = data
    hold(node)
    return {"size": len(data), "crc": crc32(data), "rate_hz": rate_hz, "scale_g": scale_g, "part": PART}


def hold(node: "Service") -> None:
    """Keep the next measurement off the samples that somebody is reading."""
    node.parts["measuring"].hold(_HOLD_MS)
