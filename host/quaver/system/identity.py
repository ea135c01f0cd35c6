"""Whether a file that names a session is the original or a copy: from a backup, or on another machine."""

from __future__ import annotations

import json
from pathlib import Path

COPIED = '["copied", "", 0]'  # a home that is nobody's: of a file that was written as a copy
_MACHINE_ID = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


def home(path: Path) -> str:
    """Where a file is: machine, path and inode, to be kept inside the file."""
    return json.dumps([machine(), str(path.resolve()), path.stat().st_ino])


def is_copy(path: Path, kept: str) -> bool:
    """Whether `path`, which kept `kept`, is a copy, and whoever keeps the other may still be there.

    A file that was renamed (the same inode) or replaced by its backup (the same path) is none.
    """
    machine, before, inode = json.loads(kept)
    here, now, number = json.loads(home(path))
    if machine != here:
        return True
    same_path, same_inode = before == now, inode == number
    if not machine:  # a container without an id: its path is every container's
        return not (same_path and same_inode)
    if same_path or not same_inode:
        return not same_path
    old = Path(before)
    return old.exists() and not old.samefile(path)


def machine() -> str:
    """This machine's name among machines; "" in a container without one."""
    for path in _MACHINE_ID:
        try:
            if found := path.read_text().strip():
                return found
        except OSError:
            continue
    return ""
