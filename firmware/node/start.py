"""Runs a built node until the power goes; a Ctrl-C leaves a REPL with every task gone."""

import asyncio
import gc
import sys


def drop(modules):
    """Give back the heap of modules that nothing uses any more.

    The collector takes whatever looks like an address on the stack for one, so a module may seem alive for no
    reason. Emptied, it holds on to nothing.
    """
    for name in modules:
        module = sys.modules.pop(name, None)
        if module:
            package, _, inner = name.rpartition(".")
            if package:
                sys.modules[package].__dict__.pop(inner, None)  # a None there would be taken for the module
            module.__dict__.clear()
    gc.collect()


def run(supervisor, watchdog):
    # What working out a measurement leaves behind; it begins with a clean heap, and no collection is to delay it.
    gc.threshold(16384)
    try:
        asyncio.run(supervisor.run())
    finally:
        if watchdog:
            watchdog.hand_over()
        asyncio.new_event_loop()
