"""The flash room's named failures; docs/flashing.md lists them with their exit codes and remedies."""

from quaver.board.failures import KNOWN
from quaver.errors import QuaverError


class FlashError(QuaverError):
    """Some boards were not flashed, each for a reason of its own."""

    exit_code = 30


class NoBoardError(FlashError):
    """No board is connected."""

    exit_code = KNOWN["no_board"].code


class WhichBoardError(FlashError):
    """More than one board is connected, and nobody said which."""

    exit_code = KNOWN["which_board"].code


class NoBoardFileError(FlashError):
    """No board file, or more than one, fits the chip, or it has nothing to flash."""

    exit_code = 31


class PortDeniedError(FlashError):
    """The system does not let this user write to the drive, or open the USB device."""

    exit_code = KNOWN["no_permission"].code


class PortGoneError(FlashError):
    """The port or the drive vanished, or was not there."""

    exit_code = 34


class NoBootLoaderError(FlashError):
    """No boot loader answers at the port."""

    exit_code = 35


class WrongChipError(FlashError):
    """The board has another chip than the one that the image is for."""

    exit_code = 36


class WriteError(FlashError):
    """What was written does not read back as it should, or could not be written."""

    exit_code = 37


class NoReportError(FlashError):
    """The image is in the flash, and the firmware does not say so."""

    exit_code = 38


class DriveFullError(FlashError):
    """The boot loader's drive, or what was taken for it, has no room."""

    exit_code = 39
