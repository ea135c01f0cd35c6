"""Takes from Bumble what it does for a log that nobody reads.

Bumble writes every packet out, with its fields and in colours, before it asks whether its log takes such lines: a sixth
of the time that a gateway and its nodes take of their host (bumble 0.0.236, `hci.HCI_Object.format_fields` and
`colors.color`).
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from bumble import hci


def spare() -> None:
    """For all of this process, unless Bumble's log takes such lines; what its packets are stays as it is."""
    if logging.getLogger("bumble").isEnabledFor(logging.DEBUG):
        return
    hci.HCI_Object.format_fields = staticmethod(_nothing)  # type: ignore[method-assign]
    for name, module in list(sys.modules.items()):
        if name.startswith("bumble.") and hasattr(module, "color"):
            vars(module)["color"] = _plain


def _nothing(*_: Any, **__: Any) -> str:
    return ""


def _plain(text: str, *_: Any, **__: Any) -> str:
    return text
