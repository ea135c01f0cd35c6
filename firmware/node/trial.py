"""A new configuration on trial: it is accepted when the node came online with it, and else the old one is back.

    /config.json      in force
    /config.next      proposed: tried at the next start
    /config.tried     the proposed one was started with once
    /config.rejected  the node did not come online with it; reported, then removed
    /config.before    what was in force before the last accepted one: rolling back proposes it

    start: no next ---------------------------> config.json
    start: next, not tried -> tried ----------> next, on trial --online--> it becomes config.json
    start: next, tried -> it becomes rejected -> config.json

Whatever ends a trial early, a reset, a crash, the watchdog, a power cut, is a trial that failed: it costs the new
configuration and never the node. Each step is one rename or removal, so that a cut between two leaves a row above.
"""

import asyncio
import os

from node import store

_FORCE = "/config.json"
_NEXT = "/config.next"
_TRIED = "/config.tried"
_REJECTED = "/config.rejected"
_BEFORE = "/config.before"


class Trial:
    """root: the folder of its files, for tests."""

    def __init__(self, root=""):
        self._root = root
        self.running = False

    def _there(self, name):
        try:
            os.stat(self._root + name)
            return True
        except OSError:
            return False

    def _drop(self, name):
        if self._there(name):
            os.remove(self._root + name)

    def begin(self):
        """To be called once a start; returns the path of the configuration to load. Flash that can't be written
        puts nothing on trial."""
        try:
            if not self._there(_NEXT):
                self._drop(_TRIED)
            elif self._there(_TRIED):
                os.rename(self._root + _NEXT, self._root + _REJECTED)
                os.remove(self._root + _TRIED)
            else:
                store.replace(self._root + _TRIED, b"")
                self.running = True
                return self._root + _NEXT
        except OSError:
            pass
        return self._root + _FORCE

    @property
    def rejected(self):
        """Whether a configuration failed its trial and nobody has been told yet."""
        return self._there(_REJECTED)

    def told(self):
        """That it was rejected has been told."""
        self._drop(_REJECTED)

    def propose(self, data):
        """Have the next start try the configuration `data`, JSON as bytes. Raises OSError."""
        self._drop(_TRIED)
        store.replace(self._root + _NEXT, data)
        self.running = False  # the one that runs, if on trial, is no longer the one that would be accepted

    def accept(self):
        """The node came online: what it runs with is in force from now on. Raises OSError."""
        if not self.running:
            return
        if self._there(_FORCE):
            with open(self._root + _FORCE, "rb") as file:
                store.replace(self._root + _BEFORE, file.read())
        os.rename(self._root + _NEXT, self._root + _FORCE)
        self._drop(_TRIED)
        self.running = False

    def back(self):
        """Propose what was in force before. Raises ValueError when there is none."""
        if not self._there(_BEFORE):
            raise ValueError("nothing to roll back to")
        with open(self._root + _BEFORE, "rb") as file:
            self.propose(file.read())

    def task(self, limit_s, restart, progress):
        """What starts `watch` for a supervisor; progress(name)."""
        return lambda: self.watch(limit_s, restart, lambda: progress("trial"))

    async def watch(self, limit_s, restart, progress):
        """A task for the supervisor, while `running`: restart when `accept` was not called in time."""
        for _ in range(limit_s):
            if not self.running:
                break
            progress()
            await asyncio.sleep(1)
        if self.running:
            restart()
        while True:
            progress()
            await asyncio.sleep(5)
