"""Code in place, from here on, with one more module that stays in RAM."""

import before
import board
from hal.chip import in_place

in_place._STAY += ("before",)
in_place.begin(board)
