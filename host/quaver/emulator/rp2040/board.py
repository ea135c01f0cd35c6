"""The host's side of the emulated Pico W."""

from __future__ import annotations

from pathlib import Path

from quaver.board.chips import chips
from quaver.build.uf2 import read_uf2
from quaver.emulator.child_board import ChildBoard
from quaver.errors import BoardError


class Rp2040Board(ChildBoard):
    """An emulated Pico W on the official image of boards/pico_w.toml. Implements `Board`.

    progress: told while the image is fetched for the first time. Raises BoardError, ArtifactError, BuildError.
    """

    where = "rp2040:"
    board = "pico_w"
    title = "Pico W"
    module = "quaver.emulator.rp2040.process"
    host_address = "10.0.0.1"

    def check_image(self, image: Path, given: bool) -> None:
        if not given:
            return
        try:
            read_uf2(image.read_bytes(), chips()["rp2040"].uf2_family)
        except OSError as error:
            raise BoardError(f"{image}: cannot be read ({error.strerror}): check the name") from error
