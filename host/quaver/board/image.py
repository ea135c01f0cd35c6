"""The official MicroPython image of a board, as a pinned file."""

from __future__ import annotations

from pathlib import Path

from quaver.board.spec import BoardSpec, board_names, load_board
from quaver.errors import ArtifactError
from quaver.files.pinned import Artifact, Package, Progress, fetch


def fetch_image(board: BoardSpec, progress: Progress | None = None) -> Path:
    """The official MicroPython image of a board. Raises ArtifactError."""
    artifact = image_artifact(board)
    if board.image is not None and artifact is None:
        raise ArtifactError(
            f"{board.name}: its image {board.image.filename} is in no package: take it from micropython.org/download, "
            "and name it with --image and --sha256"
        )
    if artifact is None:
        raise ArtifactError(f"{board.name}: has no image: it runs the MicroPython unix port")
    others = [other for name in board_names() if (other := image_artifact(load_board(name))) not in (None, artifact)]
    return fetch(artifact, progress, others)


def read_image(board: BoardSpec, progress: Progress | None = None) -> bytes:
    """The official MicroPython image of a board, as its publisher's file has it. Raises ArtifactError."""
    path = fetch_image(board, progress)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read ({error.strerror}): check the cache's permissions") from error


def image_artifact(board: BoardSpec) -> Artifact | None:
    """A board's image as a pinned file; None for a board that has none, or one whose sha256 is not known."""
    image = board.image
    if image is None or not image.sha256:
        return None
    one = image.carrier
    package = Package(one.package, one.package_version, one.package_file, one.package_sha256) if one else None
    member = one.member if one else None
    return Artifact("images", image.filename, sha256=image.sha256, url=image.url, package=package, member=member)
