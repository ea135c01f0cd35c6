"""What tests of the page share: an application over a store, and somebody who asks."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from askers import As
from starlette.middleware import Middleware
from starlette.testclient import TestClient
from test_ingest import Bench

from quaver.query.door import Door
from quaver.serve.app import create_app
from quaver.serve.endpoints import SCOPES, Who
from quaver.serve.services import Services


@pytest.fixture
def services(bench: Bench, tmp_path: Path) -> Services:
    return Services(Door(bench.path), tmp_path / "page", "Plant", "Europe/Berlin")


@pytest.fixture
def client(services: Services) -> Iterator[Callable[..., TestClient]]:
    """Makes a client of the application. scopes: of who asks; None: nobody does."""
    with ExitStack() as stack:

        def make(scopes: tuple[str, ...] | None = SCOPES) -> TestClient:
            who = [] if scopes is None else [Middleware(As, who=Who("ada", "admin", frozenset(scopes)))]
            return stack.enter_context(TestClient(create_app(services, who), base_url="http://127.0.0.1"))

        yield make
