"""Code in place, from here on, with one more module that stays in RAM."""

import board
import made.before
from hal.chip import in_place

in_place._STAY += ("made.before",)
in_place.begin(board)
