# Kept as source, because MicroPython starts main.py and not main.mpy.
import os
import sys

try:
    from hal.chip import quick

    hurry = quick.hurries()  # a wake from a deep sleep, to measure alone
    quick = None
    from node import room

    names = os.listdir("/")
    if "session.code" in names and not hurry:
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
        import board

        from hal.chip import esp32

        release = esp32.hold_back(board, hurry)
        room.keep()
        esp32 = None
    except ImportError:
        pass  # another chip's
    try:
        import board

        from hal.chip import in_place

        in_place.begin(board, tidies=not hurry)
        in_place = None
        del board
    except ImportError:
        pass  # of a chip that does not see its flash as memory
    try:
        from build import config

        if config.role() == "gateway":
            room.spend()  # it measures nothing
            from build import gateway as app
        else:
            from build import node as app
        supervisor, watchdog = app.build()
    except KeyboardInterrupt:  # what a start holds back is for who is at the prompt now
        room.spend()
        if release:
            release()
        raise
    finally:
        in_place = sys.modules.get("hal.chip.in_place")  # a node that is built has dropped it
        if in_place:
            in_place.end()
    app = config = in_place = None
    room.spend()
    room.drop("build", "hal.chip", "board", "quaver_wire.hkdf", "quaver_wire.bearings")

    from node import start

    if release:
        release()
    start.run(supervisor, watchdog)
except Exception as error:
    if isinstance(error, MemoryError):
        app = config = supervisor = watchdog = error = None  # what was built
        room.spend()
        room.tidy()
        print("no memory to start with; this board restarts with less")
        try:
            with open("/memory.short", "a") as file:
                file.write("-")  # build.wiring tells of it, and leaves out the more the longer it is
        except (OSError, MemoryError):
            pass
    elif "release.plan" not in os.listdir("/"):
        raise
    else:
        # An update on trial: the next start is with the old version again.
        sys.print_exception(error)
    from hal import restart

    restart.reset()
