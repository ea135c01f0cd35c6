"""Where a store is, as a person says it, and the store there: a SQLite file, or a database of PostgreSQL.

plant.sqlite, sqlite:plant.sqlite               a file
postgresql://quaver@db.example/plant            a database; its password is no part of this
postgresql:///plant?host=/run/postgresql        the same, through a socket of this machine
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from quaver.errors import StoreError
from quaver.store.store import Store

_SCHEMES = ("postgresql", "postgres")
_SECRET = ("password", "sslpassword")
WAYS = (
    "put it into ~/.pgpass (host:port:database:user:password, chmod 600) or another file that PGPASSFILE names, "
    "or into PGPASSWORD"
)


@dataclass(frozen=True)
class PostgresqlUrl:
    """text: as libpq takes it (PostgreSQL 15, section 34.1.1.2), without a password."""

    text: str

    def __str__(self) -> str:
        return self.text


Location = Path | PostgresqlUrl


def parse_location(text: str) -> Location:
    """What `text` names. Raises StoreError, whose message repeats nothing that may be a password."""
    scheme, colon, rest = text.partition(":")
    if not colon or "/" in scheme:
        return Path(text)
    if scheme == "sqlite":
        if not rest:
            raise StoreError("sqlite: names no file; write sqlite:PATH")
        return Path(rest.removeprefix("//"))
    if scheme in _SCHEMES:
        return _postgresql(text)
    if rest.startswith("//"):
        raise StoreError(f"{scheme}://…: no store of that kind; name a file, sqlite:PATH or postgresql://HOST/NAME")
    return Path(text)


def _postgresql(text: str) -> PostgresqlUrl:
    try:
        parts = urlsplit(text)
        settings = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
        login, _, _ = parts.netloc.rpartition("@")
        secret = ":" in login or any(name in settings for name in _SECRET)
    except ValueError:
        raise StoreError("postgresql://…: is no URL; write postgresql://HOST/NAME") from None
    if secret:
        raise StoreError(f"the URL of the store has a password, which every user of this machine can read: {WAYS}")
    if not text.partition(":")[2].startswith("//") or not (unquote(parts.path).strip("/") or settings.get("dbname")):
        raise StoreError("postgresql:…: names no database; write its host and /NAME behind //")
    return PostgresqlUrl(text)


def inside(folder: Path, location: Location) -> Location:
    """A location of a file whose paths are relative to `folder`."""
    return folder / location if isinstance(location, Path) else location


def open_records(
    location: Location,
    write: bool = True,
    wait: Callable[[str], None] | None = None,
    worker: str = "",
    beside: bool = False,
) -> Store:
    """The store at a location; worker: as in PostgresqlStore, the rest as in Store. Raises StoreError."""
    if isinstance(location, PostgresqlUrl):
        try:
            from quaver.store.postgresql import PostgresqlStore
        except ModuleNotFoundError:
            raise StoreError("postgresql: needs the library psycopg; run: pip install 'quaver[postgresql]'") from None
        return PostgresqlStore(location.text, write, wait, worker, beside)
    if worker:
        raise StoreError(f"{location}: a SQLite file has one writer; several workers need a store at postgresql://…")
    return Store(location, write, wait, beside)
