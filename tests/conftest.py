"""What all tests share. Boards come from Quaver's own pytest plugin: `--target`, `board` and the markers."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from quaver.bench.mosquitto import Mosquitto

# How long an example takes is the machine's affair. The examples are the same at each run: what is found anew is not to
# fail somebody else's change.
hypothesis.settings.register_profile("quaver", deadline=None, derandomize=True)
hypothesis.settings.load_profile("quaver")


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """Starts an Eclipse Mosquitto, the independent broker that Quaver is held against; stopped when the test ends.

    settings: lines of its configuration.
    """
    with ExitStack() as stack:

        def start(settings: str = "allow_anonymous true") -> Mosquitto:
            return stack.enter_context(Mosquitto(tmp_path / "mosquitto", settings))

        yield start


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A running Mosquitto that takes anyone, and drops nothing of what is queued for an ingest that is away."""
    return start_mosquitto("allow_anonymous true\nmax_queued_messages 0")
