"""What tests of a store share: an intake over one, and a node that fills it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fleet import Node
from test_ingest import PUMP, Bench

from quaver.fleet.keys import KeyStore


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


@pytest.fixture
def bench(tmp_path: Path, keys: KeyStore) -> Iterator[Bench]:
    bench = Bench(tmp_path, keys)
    yield bench
    bench.store.close()


@pytest.fixture
def pump(keys: KeyStore) -> Node:
    return Node(keys, PUMP, "pump-7")
