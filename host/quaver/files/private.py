"""Files that hold secrets: mode 0600 from the first byte, refused when other users can read them, replaced whole.

What has been written stays: file and folder are on the disk before the writer goes on.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from quaver.errors import QuaverError

_LOGIN_MAX = 4096  # bytes of a file with a user and a password


def read_private(path: Path, most: int, failure: type[QuaverError]) -> bytes | None:
    """The content of a file of ours that nobody else may read; None when it does not exist. Raises `failure`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise failure(f"{path}: can't be read ({error.strerror}); check what it is and who owns it") from error
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise failure(f"{path}: is not a plain file of yours; name another")
        if found.st_mode & 0o077:
            raise failure(
                f"{path}: other users can read it (mode {stat.S_IMODE(found.st_mode):04o}), and it holds secrets; "
                f"if nobody did, make it private with: chmod 600 {path}"
            )
        data = file.read(most + 1)
    if len(data) > most:
        raise failure(f"{path}: is longer than {most} bytes; quaver did not write it; name another")
    return data


def read_login(path: Path, failure: type[QuaverError]) -> tuple[str, str]:
    """(user, password) of a private file that has `user:password` in a line. Raises `failure`."""
    data = read_private(path, _LOGIN_MAX, failure)
    if data is None:
        raise failure(f"{path}: there is no such file; write user:password into it, and chmod 600")
    user, _, password = data.decode(errors="replace").strip().partition(":")
    return user, password


def write_private(path: Path, data: bytes, failure: type[QuaverError], fresh: bool = False) -> None:
    """Make `path` hold `data` as `replace_private` does, and its folder where it is missing. Raises `failure`.

    fresh: refuse to replace a file that exists.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if fresh and os.path.lexists(path):
            raise failure(f"{path}: exists; name a new file")
        replace_private(path, data)
    except OSError as error:
        raise failure(f"{path}: can't be written ({error.strerror}); free disk space or name another file") from error


def replace_private(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, mode 0600, for good: after a cut it has the old content or the new. Raises OSError."""
    # The machine, too: others may share the folder.
    aside = path.with_name(f".{path.name}.{os.uname().nodename}-{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        flush(path.parent)
    finally:
        aside.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Have a file's content, or a folder's names, on the disk: a new name may be gone after a cut until then."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def data_path(variable: str, name: str) -> Path:
    """What the environment variable names, or `name` in the user's data folder for "quaver"."""
    named = os.environ.get(variable)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("quaver", appauthor=False)) / name
