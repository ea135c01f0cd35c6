"""What tests of a store share: an intake over one, and a node that fills it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Node
from test_ingest import PUMP, Bench

from quaver.bench.postgresql import QUICK, Postgresql
from quaver.fleet.keys import KeyStore
from quaver.store.location import Location, PostgresqlUrl


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """One server for all tests; each takes places of its own in it."""
    with Postgresql(QUICK) as server:
        yield server


@pytest.fixture
def engine() -> str:
    """What `bench` keeps its records in; a file of tests that all engines have to pass has this fixture with params."""
    return "sqlite"


@pytest.fixture
def location(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Location:
    """Where a store is to be made."""
    return (
        tmp_path / "store.sqlite"
        if engine == "sqlite"
        else PostgresqlUrl(request.getfixturevalue("postgresql").create())
    )


@pytest.fixture
def bench(location: Location, keys: KeyStore) -> Iterator[Bench]:
    bench = Bench(location, keys)
    yield bench
    bench.store.close()


@pytest.fixture
def pump(keys: KeyStore) -> Node:
    return Node(keys, PUMP, "pump-7")
