"""The lock of a file beside the device keys: two commands at once, and the second sees what the first did.

It is a file of its own, open for writing: NFS has no lock for a folder, and the locked file itself is replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from quaver.errors import KeyStoreError


@contextlib.contextmanager
def locked(path: Path, needed: bool = True) -> Iterator[None]:
    """Hold the lock file `path`; waits for whoever has it. Raises KeyStoreError.

    needed: False where something else decides on a file system that gives no lock.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise KeyStoreError(f"{path}: can't be created ({error.strerror}); name another store with --keys") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if needed:
                raise KeyStoreError(
                    f"{path}: its file system gives no lock ({error.strerror}), so two changes at once could lose "
                    "one; nothing has changed: work on the machine that has the folder"
                ) from error
        yield
    finally:
        os.close(descriptor)
