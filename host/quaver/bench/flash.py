"""What flashing costs beside what esptool alone takes for the same image, and what building takes when all is cached.

The counterpart is esp32-mock-bootloader in a process of its own, behind TCP: the times are those of the host's side and
the mock's, and say nothing of a real line's speed.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import time
from collections.abc import Callable, Iterator

from quaver.bench import Figure
from quaver.board.image import fetch_image
from quaver.board.spec import BoardSpec, load_board
from quaver.build import build
from quaver.errors import BoardError
from quaver.files.pinned import Progress

_BOARD = "esp32"
_RUNS = 5
_BUILD_GOAL_S = 3.0
_OVER_GOAL_PERCENT = 10.0


def run_flash(step: Callable[[str], None], progress: Progress | None = None) -> list[Figure]:
    """Both measured in turn, the fastest of five runs each: what else the machine does only ever adds.

    step: told, in a few words, what is being measured. Raises BoardError, ArtifactError, BuildError.
    """
    spec = load_board(_BOARD)
    image = fetch_image(spec, progress)
    data = image.read_bytes()
    step("building for the Pico W, with everything cached")
    build("pico_w", progress=progress).file()
    building = _seconds(lambda: build("pico_w").file())
    alone: list[float] = []
    ours: list[float] = []
    with contextlib.redirect_stdout(io.StringIO()):
        for number in range(_RUNS):
            step(f"flashing {len(data):,} bytes, {number + 1} of {_RUNS}")
            with _mock(spec) as url:
                alone.append(_seconds(lambda: _esptool(url, spec, str(image))))
            with _mock(spec) as url:
                ours.append(_seconds(lambda: _quaver(url, spec, data)))
    over = 100 * (min(ours) / min(alone) - 1)
    note = f"{len(data):,} bytes to esp32-mock-bootloader, connected to and verified; the fastest of {_RUNS}"
    return [
        Figure("building a Pico W image, warm", round(building, 2), "s", _BUILD_GOAL_S),
        Figure("flashing with esptool alone", round(min(alone), 2), "s", note=note),
        Figure("flashing with Quaver", round(min(ours), 2), "s", note=note),
        Figure("more than esptool alone", round(over, 1), "%", _OVER_GOAL_PERCENT),
    ]


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextlib.contextmanager
def _mock(spec: BoardSpec) -> Iterator[str]:
    try:
        from esp32_mock_bootloader import mock_bootloader
    except ImportError as error:
        raise BoardError("esp32-mock-bootloader is missing: pip install 'quaver[bench]'") from error
    with mock_bootloader(spec.chip) as mock:
        yield mock.url()


def _esptool(url: str, spec: BoardSpec, path: str) -> None:
    import esptool

    place = f"0x{spec.silicon.image_offset:x}"
    esptool.main(["--port", url, "--after", "no-reset", "write-flash", place, path])


def _quaver(url: str, spec: BoardSpec, data: bytes) -> None:
    from quaver.flash.esp import EspSession

    place = spec.silicon.image_offset
    with EspSession(url) as session:
        if not session.differs(place, data):
            raise BoardError(f"{url}: the mock's flash holds the image already ({hashlib.sha256(data).hexdigest()})")
        session.write([(place, data)], lambda _part: None)
