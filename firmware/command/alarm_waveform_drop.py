"""alarm_waveform_drop: the waveform of an alarm is fetched, so the next alarm's may take its place at once."""

ARGUMENTS = (("crc", int, 0, 0xFFFFFFFF),)
NOTED = True


async def run(node, crc: int) -> None:
    node.vibration().kept.drop(crc)
