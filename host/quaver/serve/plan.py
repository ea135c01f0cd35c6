"""The plan of a plant: a picture, and where on it each node is, as somebody has written it down in a TOML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from quaver.errors import PageError
from quaver.files.tables import first_mistake, read_tables
from quaver.query.nodes import NodeRow

EXAMPLE = "docs/page.md shows one"
_BYTES_MOST = 5_000_000
_MEDIA = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
}
_Share = Annotated[float, Field(ge=0, le=1)]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    image: str = Field(min_length=1, max_length=1000)
    places: dict[str, tuple[_Share, _Share]] = Field(max_length=20_000)


@dataclass(frozen=True)
class Place:
    """node: its id in hexadecimal. x, y: of the picture's width and height, 0 to 1, from the upper left."""

    node: str
    x: float
    y: float


@dataclass(frozen=True)
class Plan:
    """image: the picture's bytes, of the type `media`. given: (x, y) by a node's name, topic or id."""

    image: bytes
    media: str
    given: dict[str, tuple[float, float]] = field(default_factory=dict)

    def places(self, rows: Sequence[NodeRow]) -> list[Place]:
        """Of the nodes that the plan names: by id, by topic, or by name where one node alone has it."""
        names = [row.name for row in rows]
        found = []
        for row in rows:
            alone = [row.name] if names.count(row.name) == 1 else []
            place = next((self.given[key] for key in (row.node, row.topic, *alone) if key in self.given), None)
            if place is not None:
                found.append(Place(row.node, *place))
        return found


def read_plan(path: Path) -> Plan:
    """The plan in a file; its picture's path begins at the file. Raises PageError."""
    try:
        given = _File.model_validate(read_tables(path, PageError, EXAMPLE))
    except ValidationError as error:
        where, what = first_mistake(error)
        raise PageError(f"{path}: {where}: {what}") from None
    picture = path.parent / given.image
    media = _MEDIA.get(picture.suffix.lower())
    if media is None:
        raise PageError(f"{path}: image: expected one of {', '.join(_MEDIA)}")
    try:
        image = picture.read_bytes()
    except OSError as error:
        raise PageError(f"{picture}: can't be read ({error.strerror})") from error
    if len(image) > _BYTES_MOST:
        raise PageError(f"{picture}: is larger than {_BYTES_MOST // 1_000_000} MB; make it smaller")
    return Plan(image, media, given.places)
