"""The build room: firmware sources become the files of a board's flash, and those a littlefs image."""

from quaver.build.compile import compile_mpy
from quaver.build.image import board_image, littlefs_image, read_littlefs
from quaver.build.tree import firmware_files

__all__ = ["board_image", "compile_mpy", "firmware_files", "littlefs_image", "read_littlefs"]
