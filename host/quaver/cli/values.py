"""Values of settings as they are typed."""

from __future__ import annotations

import json
from typing import Any


def value_of(text: str) -> Any:
    """JSON (30, true, null, "text"), or numbers separated by commas as a list, or else text as it stands."""
    for form in (text, f"[{text}]" if "," in text else ""):
        try:
            return json.loads(form)
        except ValueError:
            continue
    return text
