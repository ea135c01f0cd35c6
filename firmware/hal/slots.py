"""The partitions that hold MicroPython itself, where there are two: an ESP32 that was flashed so."""


def slots():
    """(the partition that runs, the one for the next image), or None on a board without two."""
    try:
        from esp32 import Partition

        runs = Partition(Partition.RUNNING)
        return runs, runs.get_next_update()
    except (ImportError, OSError):
        return None
