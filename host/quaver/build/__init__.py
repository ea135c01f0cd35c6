"""The build room: firmware sources become the files of a board's flash, and with the image one file to flash."""

from quaver.build.compile import compile_mpy
from quaver.build.config import read_config
from quaver.build.flashable import Flashable, build, write_flashable
from quaver.build.image import board_image, littlefs_image, read_littlefs
from quaver.build.own import own_drivers
from quaver.build.tree import firmware_files

__all__ = [
    "Flashable",
    "board_image",
    "build",
    "compile_mpy",
    "firmware_files",
    "littlefs_image",
    "own_drivers",
    "read_config",
    "read_littlefs",
    "write_flashable",
]
