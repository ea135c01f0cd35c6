"""Runs a piece of a test without root's rights over files, as whom the tests may run."""

import os
import pickle
from collections.abc import Callable

_NOBODY = 65534


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
