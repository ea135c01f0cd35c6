"""alarm_waveform: what is kept of the moment of the last alarm, for `waveform_part`."""

from command.waveform import PART

if False:  # types alone: never compiled
    from service.obey import Service

ARGUMENTS = ()
NOTED = False


async def run(node: "Service") -> dict:
    about = node.vibration().alarm_waveform.about()
    about["part"] = PART
    return about
