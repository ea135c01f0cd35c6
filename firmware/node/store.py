"""Small values that must survive a power cut: written aside, then renamed over the old one."""

import os


def replace(path, data):
    """Make `path` hold `data` (bytes): afterwards it is the old file or the new one, never a part."""
    aside = path + ".new"
    with open(aside, "wb") as file:
        file.write(data)
    os.rename(aside, path)


def next_boot(path="/boot.count"):
    """Count this boot on flash and return its number, 1 for the first; 0 when flash can't be written."""
    try:
        with open(path) as file:
            count = int(file.read(12))
    except (OSError, ValueError):
        count = 0
    try:
        replace(path, str(count + 1).encode())
    except OSError:
        return 0
    return count + 1
