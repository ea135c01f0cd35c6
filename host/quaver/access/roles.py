"""Who may do what: four roles, each with its scopes."""

from __future__ import annotations

from dataclasses import dataclass

SCOPES = ("read", "alarms", "commands", "configure", "admin")
ROLES = {
    "viewer": SCOPES[:1],
    "technician": SCOPES[:3],
    "engineer": SCOPES[:4],
    "admin": SCOPES,
}
LANGUAGES = ("en", "de")


@dataclass(frozen=True)
class Who:
    """Somebody who asks for something, by a session (`session`: its key) or by a token (`token`: its number)."""

    name: str
    role: str
    scopes: frozenset[str] = frozenset()
    language: str = LANGUAGES[0]
    session: bytes | None = None
    token: int | None = None

    @property
    def signed(self) -> str:
        """As whom the audit trail knows them: what a token did is told apart."""
        return self.name if self.token is None else f"{self.name} (token {self.token})"

    def may(self, scope: str) -> bool:
        """Whether an endpoint of that scope is theirs; "" is everybody's who is known."""
        return not scope or scope in self.scopes
