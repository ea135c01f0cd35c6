"""Objects of another size than the ones that are known."""

import board
import builtins
from hal.chip import in_place

in_place.end()
in_place._KNOWN = (99,)
in_place.begin(board)
print(builtins.__import__ is in_place._import)
