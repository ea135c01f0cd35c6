"""What the handlers of the page get: the door to the store, alarms, users, and what is live."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quaver.query.door import Door


@dataclass
class Services:
    """folder: the page's state, private to its user. name, zone: of the plant, as its people call them.

    A part that is None is not there yet, and what needs it says so.
    """

    door: Door
    folder: Path
    name: str = ""
    zone: str = "UTC"
    access: Any = None
    alarms: Any = None
    hub: Any = None

    def close(self) -> None:
        self.door.close()
