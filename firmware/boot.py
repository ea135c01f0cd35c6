# Runs before main.py, also when main.py is interrupted: keep it free of anything that can fail.
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


try:
    _complete()
except Exception as error:
    print("boot: sync:", error)
del _complete
