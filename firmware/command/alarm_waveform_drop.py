"""alarm_waveform_drop: the waveform of an alarm is fetched, so the next alarm's may take its place at once."""

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("crc", int, 0, 0xFFFFFFFF),)
NOTED = True


async def run(node: "Service", crc: int) -> None:
    node.vibration().alarm_waveform.drop(crc)
