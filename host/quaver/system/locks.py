"""Which process locks an SQLite file, if the system reports it."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")


def holder(path: Path) -> str:
    """The program that holds `path` locked, "NAME (process N)"; "another program" where that is not to be seen."""
    inodes = set()
    for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        try:
            inodes.add(str(name.stat().st_ino))
        except OSError:
            continue
    found: dict[str, bool] = {}  # process: whether it holds a lock for writing
    try:
        for line in _LOCKS.read_text().splitlines():
            # 1: POSIX  ADVISORY  WRITE 1234 08:01:5678 128 128
            words = line.split()
            if len(words) == 8 and words[1] == "POSIX" and words[5].rpartition(":")[2] in inodes:
                found[words[4]] = found.get(words[4], False) or words[3] == "WRITE"
    except OSError:
        return "another program"
    for process in sorted(found, key=lambda process: not found[process]):
        if process == str(os.getpid()):
            continue
        try:
            return f"{Path(f'/proc/{process}/comm').read_text().strip()} (process {process})"
        except OSError:
            continue
    return "another program"
