"""What the handlers of the page get: the door to the store, alarms, users, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from quaver.access.access import Access
from quaver.alarms.engine import Engine
from quaver.query.door import Door
from quaver.reports.spec import Spec
from quaver.rollout.desk import Desk
from quaver.serve.bringing import Bringing
from quaver.serve.live import Hub, Live
from quaver.serve.operate import Commands
from quaver.serve.plan import Plan
from quaver.serve.syslog import Forwarder

if TYPE_CHECKING:
    from quaver.access.openid import OpenId  # a library more, which most plants do not need


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
    openid: OpenId | None = None
    alarms: Engine | None = None
    hub: Hub | None = None
    live: Live | None = None
    rollouts: Desk | None = None
    syslog: Forwarder | None = None
    plan: Plan | None = None
    reports: Spec | None = None
    commands: Commands | None = None
    bringing: Bringing | None = None

    def start(self) -> None:
        """In the loop of the server, as it begins."""
        if self.hub is not None:
            self.hub.open()
        if self.live is not None:
            self.live.start()
        for part in (self.syslog, self.bringing):
            if part is not None:
                part.start()

    def close(self) -> None:
        if self.hub is not None:
            self.hub.close()
        for part in (self.syslog, self.bringing, self.live):
            if part is not None:
                part.stop()
        if self.commands is not None:
            self.commands.close()
        if self.alarms is not None:
            self.alarms.close()
        self.door.close()
        if self.access:
            self.access.close()
