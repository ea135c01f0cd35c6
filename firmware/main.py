# Kept as source, because MicroPython starts main.py and not main.mpy.
import os

try:
    from node import room

    names = os.listdir("/")
    if "session.code" in names:
        import board

        import hal

        blank = "device.key" not in names
        if blank or hal.port(board).reset_cause() == "PWRON_RESET":
            from enrol import onboard

            # Until the node is enrolled; then it restarts. One that is: for whoever comes to enrol it again.
            onboard.run(None if blank else 5)
            del onboard
        del blank, board, hal
        room.drop("enrol", "build", "command", "node", "links.wifi", "links.improv", "hal", "quaver_wire")
    del names

    release = None
    try:
        from hal.chip import esp32

        release = esp32.hold_back()
        esp32 = None
    except ImportError:
        pass  # another chip's
    try:
        import board

        from hal.chip import in_place

        in_place.begin(board)
        del board
    except ImportError:
        in_place = None  # of a chip that does not see its flash as memory
    try:
        from build import config

        if config.role() == "gateway":
            from build import gateway as app
        else:
            from build import node as app
        supervisor, watchdog = app.build()
    finally:
        if in_place:
            in_place.end()
    app = config = in_place = None
    room.drop("build", "hal.chip", "board", "quaver_wire.hkdf", "quaver_wire.bearings")

    from node import start

    if release:
        release()
    start.run(supervisor, watchdog)
except Exception as error:
    if "release.plan" not in os.listdir("/"):
        raise
    # An update on trial: the next start is with the old version again.
    import sys

    sys.print_exception(error)
    from hal import restart

    restart.reset()
