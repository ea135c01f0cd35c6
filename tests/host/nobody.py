"""Runs a piece of a test without root's rights over files, as whom the tests may run."""

import os
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path

_NOBODY = 65534


def open_the_way(folder: Path) -> None:
    """Let anybody reach `folder`, which lies under the temporary one."""
    top = Path(tempfile.gettempdir())
    while folder not in (top, folder.parent):
        folder.chmod(0o755)
        folder = folder.parent


def as_nobody(work: Callable[[], object]) -> tuple[str, str]:
    """(type's name, text) of what `work()` returns or raises in a process of its own."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.getuid() == 0:
                os.setuid(_NOBODY)
            try:
                result = work()
            except Exception as error:
                result = error
            os.write(send, pickle.dumps((type(result).__name__, str(result))))
        finally:
            os._exit(0)
    os.close(send)
    with os.fdopen(receive, "rb") as file:
        answer: tuple[str, str] = pickle.loads(file.read())
    os.waitpid(child, 0)
    return answer
