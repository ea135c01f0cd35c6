"""alarm_waveform: what is kept of the moment of the last alarm, for `waveform_part`."""

from command.waveform import PART

ARGUMENTS = ()
NOTED = False


async def run(node) -> dict:
    about = node.vibration().kept.about()
    about["part"] = PART
    return about
