"""What a message says, in a technician's words: from rows to its subject, its text and its JSON.

Words of a node reach a message as one printable line each, and a template can do nothing but put text together: it runs
in Jinja's sandbox. So nothing that a node says adds a header, a line or markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from quaver.alarms.conditions import Begin
from quaver.bridge.notify.alarms import Alarm
from quaver.bridge.notify.spec import zone
from quaver.errors import BridgeError
from quaver.knowledge import entries
from quaver.messages.record import one_line

LISTED = 20  # alarms that a message tells one by one; the rest it counts
_LATE_MS = 300_000  # told so long after it began, an alarm is marked as late; what is grouped takes as long as that
_SUBJECT_MAX = 160
_TEXT_MAX = 60_000
_TEMPLATE_MAX = 100_000
_GAPS = 5


@dataclass(frozen=True)
class Message:
    """urgent: it tells an alarm that goes on. more: alarms that it only counts. late: some of it began long ago."""

    id: str
    table: str
    made_ms: int
    subject: str
    text: str
    items: Sequence[dict[str, Any]]
    more: int
    late: bool
    urgent: bool

    def as_json(self) -> dict[str, Any]:
        """What a webhook gets."""
        return {
            "id": self.id,
            "table": self.table,
            "subject": self.subject,
            "text": self.text,
            "late": self.late,
            "urgent": self.urgent,
            "more": self.more,
            "items": list(self.items),
        }


class Writer:
    """Writes a table's messages. Raises BridgeError for a template that can't be used.

    template: a file of the user's own, None for ours: a subject, an empty line, a text.
    """

    def __init__(self, table: str, language: str, time_zone: str, group_s: float, template: Path | None) -> None:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self._table = table
        self._known = entries(language)
        self._zone = zone(time_zone)
        self._late_ms = _LATE_MS + int(1000 * group_s)
        # Text, no page: nothing is escaped, and nothing of a message is shown as a page.
        environment = ImmutableSandboxedEnvironment(
            autoescape=False,
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
        )  # fmt: skip
        ours = Path(__file__).with_name(f"message.{language}.j2").read_text(encoding="utf-8")
        self._ours = environment.from_string(ours)
        self._template = self._ours
        self.trouble = ""
        if template is not None:
            self._template = self._read(environment, template)

    def _read(self, environment: Any, template: Path) -> Any:
        try:
            text = template.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BridgeError(f"{template}: can't be read ({one_line(error)}); name another `template`") from error
        if len(text) > _TEMPLATE_MAX:
            raise BridgeError(f"{template}: is longer than {_TEMPLATE_MAX} characters; write a shorter template")
        try:
            found = environment.from_string(text)
            self._fill(found, self._sample(), 0)
        except Exception as error:  # a mistake in a template is any error of Python
            line = f" in line {error.lineno}" if hasattr(error, "lineno") else ""
            raise BridgeError(
                f"{template}: is no template{line}: {one_line(error)}; docs/bridge.md tells what it knows"
            ) from error
        return found

    def write(self, message: str, made_ms: int, alarms: Sequence[Alarm], count: int, now_ms: int) -> Message:
        """The message that tells these alarms, and counts the others of `count`. `trouble` says why ours was taken."""
        items = [self._item(alarm, now_ms) for alarm in alarms]
        self.trouble = ""
        try:
            subject, text = self._fill(self._template, items, count - len(items))
        except Exception as error:  # a template may fail in any way: what it was to tell is told all the same
            self.trouble = f"its template failed ({one_line(error)}); the template of quaver is taken"
            subject, text = self._fill(self._ours, items, count - len(items))
        return Message(
            message, self._table, made_ms, subject, text, items, count - len(items),
            late=any(item["late"] for item in items),
            urgent=any(item["level"] == "alarm" and item["state"] != "over" for item in items),
        )  # fmt: skip

    def _fill(self, template: Any, items: Sequence[dict[str, Any]], more: int) -> tuple[str, str]:
        values = {"items": items, "more": more, "table": self._table, "late": any(item["late"] for item in items)}
        subject, _, text = template.render(values).lstrip().partition("\n")
        subject = one_line(" ".join(subject.split()))[:_SUBJECT_MAX]
        return subject, text.strip()[:_TEXT_MAX] + "\n"

    def _item(self, alarm: Alarm, now_ms: int) -> dict[str, Any]:
        facts = alarm.facts
        advices = [self._known[key] for key in facts.get("keys", ()) if key in self._known]
        levels = [one_line(name) for name in alarm.topic.split("/")]
        offline = "node_offline" in facts.get("keys", ())
        state = "over" if alarm.over else "escalated" if alarm.via else "begun"
        found: dict[str, Any] = {
            "alarm": alarm.id,
            "state": state,
            "what": alarm.what,
            "level": alarm.level,
            "id": alarm.node,
            "node": levels[-1] or alarm.node or "?",
            "place": " / ".join(levels[:-1]),
            "title": advices[0].title if advices else one_line(facts.get("subject") or alarm.subject),
            "also": [advice.title for advice in advices[1:]],
            "since": self._moment(alarm.since_ms),
            "ended": self._moment(alarm.ended_ms) if alarm.ended_ms is not None else None,
            "ended_to": alarm.ended_to,
            "late": alarm.news and not alarm.via and (alarm.what in ("alarms", "warnings") or offline)
            and now_ms - alarm.since_ms > self._late_ms,
            "measured": _figure(facts.get("value"), facts.get("unit", "")),
            "limit": _figure(facts.get("limit"), facts.get("unit", "")),
            "count": facts.get("count"),
            "detail": one_line("; ".join(facts.get("gaps", ())[:_GAPS]) or facts.get("text", "")),
            "acknowledged_by": alarm.acknowledged_by and one_line(alarm.acknowledged_by),
        }  # fmt: skip
        for name in ("means", "act", "urgency", "check"):
            found[name] = getattr(advices[0], name) if advices else ()
            if name != "check":
                found[name] = found[name] or None
        found["check"] = list(found["check"])
        return found

    def _moment(self, time_ms: int) -> str:
        try:
            return datetime.fromtimestamp(time_ms / 1000, self._zone).isoformat(sep=" ", timespec="seconds")
        except (ValueError, OverflowError, OSError):
            return "?"

    def _sample(self) -> list[dict[str, Any]]:
        """What a template is tried with before it is needed."""
        begin = Begin("alarms", "alarm", "0" * 16, "site/area/line/asset/node", "level rms", (0, 0), 0,
                      {"keys": ["level_rise"], "value": 0.5, "limit": 0.4, "unit": "g"})  # fmt: skip
        shared = (begin.what, begin.level, begin.node, begin.topic, begin.subject, 0, dict(begin.facts))
        begun = Alarm("abcdefgh", "", *shared, None, None, None, None)
        return [self._item(begun, 0), self._item(Alarm("abcdefgh", "other", *shared, 1000, "ok", 0, "somebody"), 0)]


def _figure(value: Any, unit: str) -> str | None:
    if not isinstance(value, (int, float)):
        return None
    return f"{value:.4g} {unit}".rstrip()
