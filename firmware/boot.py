# Runs before main.py, also when main.py is interrupted: keep it free of anything that can fail. It guards updates over
# the air, and is changed by none of them: by cable only.
import gc

# Collecting often while modules are imported keeps the heap in one piece: a block's spectrum wants 16 kB of it.
gc.threshold(24576)


def _complete():
    # Completes a change of firmware that `quaver sync` had committed when the power went. Each line of the plan is a
    # verb of os and its paths; a step that was done already fails for want of what it moved.
    import os

    import micropython

    plan = "/sync.plan"
    try:
        with open(plan) as file:
            steps = file.read().split("\n")
    except OSError:
        return
    micropython.kbd_intr(-1)  # a Ctrl-C here would run main.py with half of the change
    try:
        for step in steps:
            verb, *paths = step.split("\t")
            try:
                getattr(os, verb)(*paths)
            except OSError as error:
                if error.errno not in (2, 17, 39):  # ENOENT, EEXIST, ENOTEMPTY
                    raise
        os.remove(plan)
    finally:
        micropython.kbd_intr(3)


def _move(come, leave, fresh):
    # Each line of the plan of an update is a path, behind = where both versions have it, + of the new one alone, - of
    # the old one. What is done already fails for want of what it moved, so a cut costs nothing.
    import os

    def rename(before, after):
        try:
            os.rename(before, after)
        except OSError as error:
            if error.errno != 2:  # ENOENT
                raise

    with open("/release.plan") as file:
        for line in file:
            kind, path = line[0], line[1:].rstrip()
            if kind == "=":
                try:
                    os.stat(path + come)
                except OSError:
                    continue
            elif kind not in "+-":
                continue
            if kind != fresh:
                rename(path, path + leave)
            if kind in "=" + fresh:
                rename(path + come, path)


def _check():
    # What is about to run is what was signed.
    from hashlib import sha256

    buffer = memoryview(bytearray(512))
    with open("/release.list", "rb") as listing:
        entry = listing.read(34)  # SHA-256, u16 size; behind it the path
        while entry:
            path = listing.readline().decode().rstrip("\n")
            hashed = sha256()
            with open("/" + path, "rb") as file:
                count = file.readinto(buffer)
                while count:
                    hashed.update(buffer[:count])
                    count = file.readinto(buffer)
            if hashed.digest() != entry[:32]:
                raise ValueError("corrupt: " + path)
            entry = listing.read(34)


def _slots():
    # On an ESP32 with two partitions for MicroPython itself: the one that runs, and the other.
    try:
        from esp32 import Partition

        runs = Partition(Partition.RUNNING)
        return runs, runs.get_next_update()
    except (ImportError, OSError):
        return None


def _image(plan):
    # The plan names the partition of a new image. Returns whether that one runs, and the partition to be run else.
    with open(plan) as file:
        for line in file:
            if line[0] == "*":
                runs, other = _slots()
                return runs.info()[4] == line[1:].rstrip(), other
    return False, None


def _guard(plan):
    # The new version may hang, or end at the prompt: not confirmed in time, it is left.
    import os
    import sys

    import machine

    def late(timer):
        try:
            os.stat(plan)
        except OSError:
            return
        machine.reset()

    global _timer  # collected as garbage, an RP2040's timer never comes
    if hasattr(machine, "Timer"):
        number = -1 if sys.platform == "rp2" else 1
        _timer = machine.Timer(number, mode=machine.Timer.ONE_SHOT, period=330000, callback=late)


def _update():
    # release.plan: the new version is committed, and not confirmed. It is started once (release.tried); at the next
    # start, whatever the reason, the old one comes back.
    import os

    import micropython

    plan, tried = "/release.plan", "/release.tried"
    there = os.listdir("/")
    if plan[1:] not in there:
        if "release.rejected" in there and _slots():
            from esp32 import Partition

            Partition.mark_app_valid_cancel_rollback()  # the image that came back is on no trial
        return
    micropython.kbd_intr(-1)
    try:
        import machine

        why = None
        new_runs, other = _image(plan)
        if tried[1:] not in there:
            try:
                if other and not new_runs:
                    # Its own start is the first of the trial; the chip's boot loader comes back from one that fails.
                    if "release.switched" in there:
                        raise ValueError("the image of MicroPython did not start")
                    with open("/release.switched", "w"):
                        pass
                    other.set_boot()
                    machine.reset()
                _move(".new", ".old", "+")
                _check()
                with open(tried, "w"):
                    pass
                return _guard(plan)
            except Exception as error:
                why = error
        _move(".old", ".new", "-")
        if why:
            print("boot: update:", why)
            try:
                with open(tried, "w") as file:
                    file.write(str(why))
            except OSError:
                pass
        if new_runs:
            other.set_boot()
        os.rename(plan, "/release.rejected")
        if new_runs:
            machine.reset()
    finally:
        micropython.kbd_intr(3)


def _mount():
    # Most modules share files: from here on they are found.
    import packs

    packs.mount()


for _step in (_complete, _update, _mount):
    try:
        _step()
    except Exception as error:
        print("boot:", error)
del _step, _complete, _update, _mount, _move, _check, _guard, _slots, _image
