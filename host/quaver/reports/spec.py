"""What reports need to know of a plant beside its records: the reports.toml, checked whole before anything is read."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from quaver.errors import ReportError
from quaver.files.tables import first_mistake, read_tables
from quaver.messages.quantities import QUANTITIES
from quaver.reports.calendar import DAYS, overlap

EXAMPLE = Path(__file__).with_name("example.toml")
_CLOCK = r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$"

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1, max_length=40)]
Text = Annotated[str, Field(max_length=200)]


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected a time zone of the IANA list, such as Europe/Berlin or UTC") from None
    return text


def _quantity(text: str) -> str:
    if text not in QUANTITIES:
        raise ValueError(f"expected a quantity of records, such as velocity_mm_s or {', '.join(list(QUANTITIES)[:3])}")
    return text


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Stretch(_Table):
    """A stretch of the day, by the plant's clock; over midnight where it ends before it begins."""

    name: Name
    begins: Annotated[str, Field(pattern=_CLOCK)]
    ends: Annotated[str, Field(pattern=_CLOCK)]
    days: Annotated[tuple[Day, ...], Field(min_length=1)] = DAYS  # type: ignore[assignment]


class Tariff(Stretch):
    price: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None  # of a kWh


class Co2(_Table):
    """country: of the table that comes with Quaver. Or the plant's own factor, with where it is from and its year."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] = ""
    g_per_kwh: Annotated[float, Field(ge=0, le=5000)] | None = None
    source: Text = ""
    year: Annotated[int, Field(ge=1990, le=2200)] | None = None

    @model_validator(mode="after")
    def _one(self) -> Co2:
        if (self.g_per_kwh is None) == (not self.country):
            raise ValueError("name the country, or the plant's own g_per_kwh")
        if self.g_per_kwh is not None and not (self.source and self.year):
            raise ValueError("a g_per_kwh of your own needs its source and its year")
        if self.country and self.country not in {factor.country for factor in factors()}:
            known = ", ".join(sorted({factor.country for factor in factors()}))
            raise ValueError(f"the table knows {known}; give g_per_kwh with source and year")
        return self


class Counter(_Table):
    """A CSV file of what a machine made: time (ISO 8601 with zone), total, good; both counted since its begin."""

    file: Path
    ideal_per_h: Positive


# Where zone D of ISO 20816-3:2022 begins (Annex A, tables A.1 and A.2), mm/s: by group and mounting.
ZONE_D = {(1, "rigid"): 7.1, (1, "flexible"): 11.0, (2, "rigid"): 4.5, (2, "flexible"): 7.1}


class Machine(_Table):
    """node: its name, or its whole topic prefix. idle_w: below it the machine turns without load.

    group, mounting: of ISO 20816-3, as in the node's configuration.
    """

    node: Annotated[str, Field(min_length=1, max_length=200)]
    idle_w: Positive | None = None
    group: Literal[1, 2] | None = None
    mounting: Literal["rigid", "flexible"] = "rigid"
    counter: Counter | None = None

    @property
    def zone_d(self) -> float | None:
        return None if self.group is None else ZONE_D[self.group, self.mounting]


class Limits(_Table):
    """What a quantity is to lie between; what a report of control holds the spread of the machine against."""

    node: Annotated[str, Field(min_length=1, max_length=200)]
    quantity: Annotated[str, AfterValidator(_quantity)]
    lower: Finite | None = None
    upper: Finite | None = None

    @model_validator(mode="after")
    def _some(self) -> Limits:
        if self.lower is None and self.upper is None:
            raise ValueError("name lower, upper or both")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError("`lower` has to be below `upper`")
        return self


class Spec(_Table):
    """The whole file. Every table may be missing: what needs it is then said not to be known."""

    name: Text = ""  # of the plant, as the reports' head has it
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    shift: tuple[Stretch, ...] = ()
    tariff: tuple[Tariff, ...] = ()
    co2: Co2 | None = None
    machine: tuple[Machine, ...] = ()
    limits: tuple[Limits, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Spec:
        for what, spans in (("shift", self.shift), ("tariff", self.tariff)):
            if both := overlap(spans):
                raise ValueError(f"{what}: {both[0]} and {both[1]} overlap; each minute belongs to one at most")
        return self

    def machine_of(self, topic: str) -> Machine | None:
        return next((one for one in self.machine if _names(one.node, topic)), None)

    def limits_of(self, topic: str, quantity: str) -> Limits | None:
        return next((one for one in self.limits if one.quantity == quantity and _names(one.node, topic)), None)


def _names(text: str, topic: str) -> bool:
    return text in (topic, topic.rpartition("/")[2])


class Factor(_Table):
    """A row of the table of CO2."""

    country: str
    year: int
    g_per_kwh: float
    gas: Literal["CO2", "CO2e"]
    state: str
    source: str


@lru_cache
def factors() -> tuple[Factor, ...]:
    """The table of CO2, in the order of years."""
    rows: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("co2.toml").read_text())["factor"]
    return tuple(sorted((Factor.model_validate(row) for row in rows), key=lambda row: (row.country, row.year)))


def read_spec(path: Path) -> Spec:
    """The plant of a file; the paths in it are relative to its folder. Raises ReportError."""
    tables = read_tables(path, ReportError, "quaver report new writes an example")
    try:
        spec = Spec.model_validate(tables)
    except ValidationError as error:
        where, said = first_mistake(error)
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise ReportError(f"{path}: {_plain(where)}: {said[:1].lower() + said[1:]}{more}") from None
    machines = tuple(
        one.model_copy(update={"counter": one.counter.model_copy(update={"file": path.parent / one.counter.file})})
        if one.counter
        else one
        for one in spec.machine
    )
    return spec.model_copy(update={"machine": machines})


def _plain(where: str) -> str:
    """A place as a person counts: shift.0.begins as shift 1, begins."""
    return re.sub(r"\.(\d+)(?:\.|$)", lambda found: f" {int(found[1]) + 1}, ", where).removesuffix(", ")
