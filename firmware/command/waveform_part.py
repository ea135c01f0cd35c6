"""waveform_part: the samples from byte `at` on, of the last measurement or of the alarm that is kept, as their CRC
says; the parts are asked for in any order, also twice."""

from binascii import crc32

from command.waveform import PART, hold

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("at", int, 0, 1 << 20), ("crc", int, 0, 0xFFFFFFFF))
NOTED = False


async def run(node: "Service", at: int, crc: int) -> dict:
    if node.wave is not None and crc32(node.wave) == crc:
        hold(node)
        return {"at": at, "data": bytes(memoryview(node.wave)[at : at + PART])}
    try:
        return {"at": at, "data": node.vibration().alarm_waveform.part(crc, at, PART)}
    except ValueError:
        raise ValueError("that waveform is gone")
