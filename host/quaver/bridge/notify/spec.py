"""A `[[notify]]` table as data: what is told, of which nodes, to whom, how often, in whose words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from quaver.errors import RolloutError
from quaver.rollout.plan import fits, levels_of
from quaver.rollout.windows import Window, parse_window

What = Literal["alarms", "warnings", "recoveries", "gone", "gaps", "security", "keys"]
# No control character anywhere, and one @: what goes into a header of a message or a command of SMTP.
_ADDRESS = re.compile(r"[^\s@<>,;:\"\\\x00-\x1f\x7f]{1,64}@[^\s@<>,;:\"\\\x00-\x1f\x7f]{1,255}")
_TOPIC = re.compile(r"[-_A-Za-z0-9]{1,64}")
_HEADER = re.compile(r"[-A-Za-z0-9]{1,64}")
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _url(text: str) -> str:
    if set(text) - set(map(chr, range(33, 127))):
        raise ValueError("expected a URL without spaces, other letters percent-encoded")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"expected a URL ({error})") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("user and password do not belong into a URL: use a file")
    if not parts.hostname or parts.scheme not in ("https", "http"):
        raise ValueError("expected a URL that begins with https://")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("expected https://; http:// is for this machine alone (127.0.0.1, localhost)")
    return text


def _topic_url(text: str) -> str:
    parts = urlsplit(_url(text))
    if not _TOPIC.fullmatch(parts.path.rpartition("/")[2]) or parts.query or parts.fragment:
        raise ValueError("expected the URL of a topic, such as https://ntfy.example.org/pumps")
    return text


def _address(text: str) -> str:
    if not _ADDRESS.fullmatch(text):
        raise ValueError("expected an address, such as on-call@example.org")
    return text


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text) or text.lower() in ("host", "content-length", "content-type", "transfer-encoding"):
        raise ValueError("expected the name of a header, such as X-Secret")
    return text


def _selector(text: str) -> str:
    try:
        levels_of(text, "nodes")
    except RolloutError as error:
        raise ValueError(str(error)) from None
    return text


def _hours(text: str) -> str:
    try:
        parse_window(text)
    except RolloutError:
        raise ValueError('expected two times, such as "22:00-06:00", perhaps with days before: "Sat-Sun"') from None
    return text


def zone(name: str) -> tzinfo:
    """The time zone of that name; UTC also where the machine has no time zone database."""
    return UTC if name == "UTC" else ZoneInfo(name)


def _zone(text: str) -> str:
    try:
        zone(text)
    except (OSError, ValueError, LookupError):
        raise ValueError('expected a name of the time zone database, such as "Europe/Berlin"') from None
    return text


_Url = Annotated[str, AfterValidator(_url)]
_Address = Annotated[str, AfterValidator(_address)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Smtp(_Table):
    """E-mail. tls: "starttls" (port 587), "tls" from the first byte (465), or "none"."""

    host: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:-]{0,252}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: Path | None = None
    sender: Annotated[_Address, Field(alias="from")]
    to: Annotated[tuple[_Address, ...], Field(min_length=1, max_length=50)]
    login_file: Path | None = None  # user:password in a line, readable for its owner alone

    @model_validator(mode="after")
    def _safe(self) -> Smtp:
        if self.tls == "none" and self.login_file and self.host not in _LOOPBACK:
            raise ValueError('a login does not go over a network unencrypted: tls = "starttls" or "tls"')
        return self


class Webhook(_Table):
    """JSON by POST. secret_file: what the header `header` says."""

    url: _Url
    header: Annotated[str, AfterValidator(_header)] = "Authorization"
    secret_file: Path | None = None


class Ntfy(_Table):
    """A topic of an ntfy server."""

    url: Annotated[str, AfterValidator(_topic_url)]
    token_file: Path | None = None


class Notify(_Table):
    """Times in seconds, escalate_after in minutes."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    what: tuple[What, ...] = ("alarms", "recoveries", "gone", "gaps", "security", "keys")
    nodes: Annotated[tuple[Annotated[str, AfterValidator(_selector)], ...], Field(min_length=1)] = ("*",)
    smtp: Smtp | None = None
    webhook: Webhook | None = None
    ntfy: Ntfy | None = None
    group: Annotated[float, Field(ge=0, le=3600)] = 30
    per_hour: Annotated[int, Field(ge=1, le=1000)] = 12
    quiet: Annotated[str, AfterValidator(_hours)] | None = None
    urgent: bool = True  # alarms pass the quiet hours
    time_zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    silent_after: Annotated[int, Field(ge=2, le=1000)] = 5  # intervals without a record
    escalate_after: Annotated[float, Field(gt=0, le=10_080)] | None = None
    escalate_to: str | None = None
    language: Literal["en", "de"] = "en"
    template: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> Notify:
        if sum(way is not None for way in (self.smtp, self.webhook, self.ntfy)) != 1:
            raise ValueError("expected one of the tables smtp, webhook and ntfy: to whom it goes")
        if (self.escalate_after is None) != (self.escalate_to is None):
            raise ValueError("escalate_after and escalate_to belong together: how many minutes, and which name")
        return self

    @property
    def window(self) -> Window | None:
        return parse_window(self.quiet) if self.quiet else None

    def covers(self, topic: str) -> bool:
        """Whether a node of that topic prefix is one of its nodes."""
        return any(fits(topic, selector.split("/")) for selector in self.nodes)

    def inside(self, folder: Path) -> Notify:
        """The same, its paths relative to `folder`."""

        def found(path: Path | None) -> Path | None:
            return folder / path if path else None

        changes: dict[str, object] = {"template": found(self.template)}
        if self.smtp:
            paths = {"ca": found(self.smtp.ca), "login_file": found(self.smtp.login_file)}
            changes["smtp"] = self.smtp.model_copy(update=paths)
        if self.webhook:
            changes["webhook"] = self.webhook.model_copy(update={"secret_file": found(self.webhook.secret_file)})
        if self.ntfy:
            changes["ntfy"] = self.ntfy.model_copy(update={"token_file": found(self.ntfy.token_file)})
        return self.model_copy(update=changes)


def check_names(tables: Sequence[Notify]) -> None:
    """Raises ValueError where a name is there twice, or where escalation leads nowhere or back to its begin."""
    known = {table.name: table for table in tables}
    if len(known) < len(tables):
        raise ValueError("two [[notify]] tables have the same name")
    for table in tables:
        passed, at = {table.name}, table
        while at.escalate_to is not None:
            if at.escalate_to not in known:
                raise ValueError(f"notify {at.name}: escalate_to: there is no [[notify]] table {at.escalate_to!r}")
            if at.escalate_to in passed:
                raise ValueError(f"notify {at.name}: escalate_to: leads back to {at.escalate_to!r}")
            at = known[at.escalate_to]
            passed.add(at.name)
