"""The build room's device libraries that a board's official image lacks.

No package registry has aioble (micropython-lib, MIT). It is frozen into the Pico W's image, and thawed for the others.
"""

from __future__ import annotations

from quaver.board.image import read_image
from quaver.board.spec import BoardSpec, load_board
from quaver.build.thaw import thaw
from quaver.build.uf2 import join_pages, read_uf2
from quaver.files.pinned import Progress

_AIOBLE = "aioble"
_HAS_AIOBLE = "pico_w"


def device_libraries(spec: BoardSpec, progress: Progress | None = None) -> dict[str, bytes]:
    """What goes into lib/ of a board beside what `firmware_files` puts there. Raises ArtifactError, BuildError."""
    if _AIOBLE in spec.silicon.frozen or "ble" not in spec.radios:
        return {}
    source = load_board(_HAS_AIOBLE)
    start, content = join_pages(read_uf2(read_image(source, progress), source.silicon.uf2_family))
    return {f"lib/{path}": data for path, data in thaw(content, start, _AIOBLE).items()}
