"""What all tests share. Boards come from Quaver's own pytest plugin: `--target`, `board` and the markers."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import hypothesis
import pytest

from quaver.bench.mosquitto import Mosquitto

# How long an example takes is the machine's affair. The examples are the same at each run: what is found anew is not to
# fail somebody else's change. `make nightly` tries more of them (--hypothesis-profile nightly).
hypothesis.settings.register_profile("quaver", deadline=None, derandomize=True, max_examples=30)
hypothesis.settings.register_profile("nightly", deadline=None, derandomize=True, max_examples=200)
hypothesis.settings.load_profile("quaver")

# `make test &` in a script has it ignore SIGINT, nohup SIGHUP, and children inherit that: signals to them would do
# nothing. A handler of ours ignores them just as well, and a program that is started gets the default in its place.
for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
    if signal.getsignal(_number) == signal.SIG_IGN:
        signal.signal(_number, lambda _number, _frame: None)

# As `quaver` sets it: for what tests start without it, as a plant's workers.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_QUICKEST = "unix:"
_SHARED = ("esp32_c3:",)  # targets that beside others run only what differs by chip; alone, everything


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "each_chip: differs by chip, so it runs on every --target")
    config.addinivalue_line("markers", "any_board: the same on every board, so of several --targets it runs on unix:")
    config.addinivalue_line("markers", "nightly_on(target, …): on these targets it is nightly")
    config.addinivalue_line("markers", "slowest: takes over 5 s of a processor or 15 s of waiting, so it begins first")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Without the collector of garbage: what is collected here stays to the end, and is not looked at again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # before pytest looks at -m, and after it has put them in its order
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Iterator[None]:
    """What is the same on every board is shown on the quickest ones: beside them, others run the marked tests alone.

    Of several workers each begins with its part of the slowest tests: none is left over at the end for one alone.
    """
    targets = set(config.getoption("--target") or ())
    if len(targets) > 1:
        left = [item for item in items if not _elsewhere(item, targets)]
        config.hook.pytest_deselected(items=[item for item in items if _elsewhere(item, targets)])
        items[:] = left
    for item in items:
        if any(_target(item) in mark.args for mark in item.iter_markers("nightly_on")):
            item.add_marker(pytest.mark.nightly)
    yield
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        slow = [item for item in items if item.get_closest_marker("slowest")]
        rest = [item for item in items if not item.get_closest_marker("slowest")]
        # xdist's worksteal gives each worker a stretch of the list to begin with.
        ends = [len(rest) * number // workers for number in range(workers + 1)]
        items[:] = [
            item
            for number in range(workers)
            for item in (*slow[number::workers], *rest[ends[number] : ends[number + 1]])
        ]


def _target(item: pytest.Item) -> str | None:
    spec = getattr(item, "callspec", None)
    return spec.params.get("board_target") if spec else None


def _elsewhere(item: pytest.Item, targets: set[str]) -> bool:
    where = _target(item)
    if where is not None and item.get_closest_marker("any_board") is not None and _QUICKEST in targets:
        return bool(where != _QUICKEST)
    return where in _SHARED and item.get_closest_marker("each_chip") is None


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
