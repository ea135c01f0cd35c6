"""Tells what has become of a sensor: an event, and a line on the console."""

from node.room import drop, load


def tell(recorder, event, name, error):
    """An event of the sensor of that name; error: why, with its reason in numbers where it has one, or None."""
    reason = text = None
    if isinstance(error, OSError) and error.args and isinstance(error.args[0], int):
        reason = error.args[:2]
    elif error:
        text = str(error) or type(error).__name__
    recorder.event(event, name, reason=reason, text=text)
    if reason:
        try:
            text = load("quaver_wire.reasons").words(reason)  # read from flash for this moment alone
        except MemoryError:
            text = str(reason)  # the numbers say it too
        drop("quaver_wire.reasons")
    print("node: {}: {}".format(name, text or "recovered"))
