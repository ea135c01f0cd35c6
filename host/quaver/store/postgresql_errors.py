"""What PostgreSQL and the way to it fail with, in a line for people: what happened, and what to do."""

from __future__ import annotations

import psycopg

from quaver.store.location import WAYS


def gone(error: Exception) -> bool:
    """Whether a failure is one of the connection, or of a server that starts or stops: another try may help."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        return isinstance(error, psycopg.OperationalError) and "authentication" not in str(error)
    return state[:2] == "08" or state in ("57P01", "57P02", "57P03", "25P03", "53300")


def said_by(error: Exception) -> str:
    """A failure in a line: what, and what to do."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    _, _, told = first.rpartition("FATAL:")
    told = (told or first).strip().removeprefix("ERROR:").strip()
    state = getattr(error, "sqlstate", None) or ""
    if "no password supplied" in told:
        return f"the server asks for a password: {WAYS}"
    if "password authentication failed" in told:
        return f"the server refuses the user or the password: {WAYS}"
    if "does not exist" in told and "database" in told:
        return f"{told}; make it with createdb, or name another"
    if "role" in told and "does not exist" in told:
        return f"{told}; make it with createuser, or name another user"
    if state == "53100" or "No space left" in told:
        return "the server's disk is full; free some space there"
    if state == "55P03":
        return "another program holds its lock"
    if state in ("25006", "42501"):
        return f"{told}; name the primary server, and a user who may write there"
    if gone(error):
        return f"the database does not answer ({told}); start it, or check its URL"
    return told
