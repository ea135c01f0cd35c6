"""What the handlers of the page get: the door to the store, alarms, users, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.access.access import Access
from quaver.query.door import Door
from quaver.reports.spec import Spec
from quaver.serve.live import Hub, Live
from quaver.serve.plan import Plan


@dataclass
class Services:
    """folder: the page's state, private to its user. name, zone: of the plant, as its people call them.

    A part that is None is not there yet, and what needs it says so.
    """

    door: Door
    folder: Path
    name: str = ""
    zone: str = "UTC"
    access: Access | None = None
    alarms: Any = None
    hub: Hub | None = None
    live: Live | None = None
    rollouts: Any = None
    plan: Plan | None = None
    reports: Spec | None = None

    def start(self) -> None:
        """In the loop of the server, as it begins."""
        if self.hub is not None:
            self.hub.open()
        if self.live is not None:
            self.live.start()

    def close(self) -> None:
        if self.hub is not None:
            self.hub.close()
        if self.live is not None:
            self.live.stop()
        self.door.close()
        if self.access:
            self.access.close()
