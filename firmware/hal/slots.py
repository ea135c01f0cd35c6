"""The partitions that hold MicroPython itself, where there are two: an ESP32 that was flashed so."""


def slots():
    """(the partition that runs, the one for the next image), or None on a board without two."""
    try:
        from esp32 import Partition

        runs = Partition(Partition.RUNNING)
        return runs, runs.get_next_update()
    except (ImportError, OSError):
        return None


def keep():
    """The image that runs is the one that starts from now on: the boot loader takes it back no more."""
    from esp32 import Partition

    Partition.mark_app_valid_cancel_rollback()
