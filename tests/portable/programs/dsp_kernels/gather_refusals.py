"""What does not fit is refused."""

import json
from array import array

from dsp.unpack import gather

out = array("h", bytes(2 * 8))
answers = [gather(bytearray(14), 0, 7, 5, 1, out, 8)]
for case in (
    (bytearray(13), 2, 7, 5, 1, out, 0),
    (bytearray(14), 2, 7, 6, 1, out, 0),
    (bytearray(14), 2, 7, 5, 1, out, 7),
    (bytearray(14), 2, 7, 5, 1, out, -1),
    (bytearray(14), 2, 7, -1, 1, out, 0),
    (bytearray(14), 2, 7, 0, -1, out, 0),
):
    try:
        answers.append(gather(*case))
    except ValueError:
        answers.append("refused")
print(json.dumps(answers))
