"""alarm_waveform: what is kept of the moment of the last alarm, for `waveform_part`; or, with the CRC of what was
fetched, that it is kept no longer and the next alarm's may take its place at once."""

from command.waveform import PART

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = (("fetched", int, -1, 0xFFFFFFFF),)  # -1: nothing yet
NOTED = True


async def run(node: "Service", fetched: int) -> dict | None:
    kept = node.vibration().alarm_waveform
    if fetched >= 0:
        return kept.drop(fetched)
    about = kept.about()
    about["part"] = PART
    return about
