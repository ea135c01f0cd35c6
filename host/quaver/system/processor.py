"""What programs of this machine have taken of its processors."""

from __future__ import annotations

import os
from pathlib import Path


def processor_s(process: int) -> float:
    """Seconds that a process, by its number, has taken, its own and the system's for it: proc(5), utime and stime."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def busy_s() -> float:
    """Seconds that this machine's processors have been busy since its start, all together: proc(5), /proc/stat."""
    user, nice, system, _idle, _iowait, *others = map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9])
    return (user + nice + system + sum(others)) / os.sysconf("SC_CLK_TCK")
