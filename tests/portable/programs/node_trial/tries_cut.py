"""Wrong codes, with the power cut at each operation of the flash while a try is counted: none is free."""

import json

from cut_flash import every_cut, mounted
from enrol.session import Tries

PATH = "/flash/session.tries"
WRONG = 7


class Still:
    def ms(self):
        return 0


looked_at = False
waits = set()


def attempt():
    """As a session does: the proof is looked at only when the count returned."""
    global looked_at
    looked_at = False
    tries = Tries(Still(), PATH)
    tries.begin()
    looked_at = True
    tries.failed()


flash, _, _ = mounted(None, lambda: None)
cuts = 0
for before in range(WRONG):

    def check(cut, before=before):
        tries = Tries(Still(), PATH)
        assert tries._row in (before, before + 1), cut
        assert tries._row == before + 1 or not looked_at, cut
        assert tries.untold == tries._row, cut
        waits.add((tries._row, tries.wait_s()))

    cuts += every_cut(flash, attempt, check)
    flash, _, _ = mounted(flash, attempt)
    assert looked_at
    mounted(flash, lambda: check(None))  # cut right after the answer

print(json.dumps([cuts, sorted(waits)]))
