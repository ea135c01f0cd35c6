"""What somebody does through the page is written to the audit trail; without a trail nothing is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from quaver.errors import PageError
from quaver.serve.endpoints import Call


@dataclass(frozen=True)
class Actor:
    """Who does something. name: of a user."""

    name: str
    audit: Any

    def write(self, what: str, about: str, details: Mapping[str, Any] | None = None) -> None:
        """Add to the audit trail that it is done. Raises AccessError."""
        self.audit.write(self.name, what, about, details)


def noted(call: Call) -> Actor:
    """Who asks, with the trail of the page. Raises PageError where there is none: then nothing is done."""
    access = call.state.access
    if call.who is None or access is None:
        raise PageError("the page has no audit trail, so it does nothing for anybody; start quaver serve anew", 503)
    return Actor(call.who.name, access.audit)
