"""Runs a built node until the power goes; a Ctrl-C leaves a REPL with every task gone."""

import asyncio
import gc
import sys


def drop(modules):
    """Give back the heap of modules that nothing uses any more."""
    for name in modules:
        if name in sys.modules:
            package, _, inner = name.rpartition(".")
            if package:
                setattr(sys.modules[package], inner, None)
            sys.modules[name] = None  # a dict keeps the value of an entry that is deleted
            del sys.modules[name]
    gc.collect()


def run(supervisor, watchdog):
    try:
        asyncio.run(supervisor.run())
    finally:
        if watchdog:
            watchdog.hand_over()
        asyncio.new_event_loop()
