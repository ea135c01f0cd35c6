"""What the handlers of the page get: the door to the store, alarms, users, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.access.access import Access
from quaver.query.door import Door
from quaver.serve.plan import Plan

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
    alarms: Any = None
    hub: Any = None
    rollouts: Any = None
    plan: Plan | None = None

    def close(self) -> None:
        self.door.close()
        if self.access:
            self.access.close()
