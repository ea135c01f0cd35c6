"""The power goes at flash operations of an update, and the board starts as the old version or the new one.

`tools/update_cuts.py` does so at each operation and for more files, and prints how many cuts were tried.
"""

import dataclasses

import pytest

from quaver.bench.update_cuts import TRIALS, Trial, cut_everywhere


@pytest.mark.long
@pytest.mark.parametrize("trial", TRIALS[:4], ids=lambda trial: trial.name)
def test_no_cut_leaves_a_mixture(trial: Trial) -> None:
    tried = cut_everywhere(dataclasses.replace(trial, inner_every=0), 1, every=17)
    assert tried.violations == ()
    assert tried.cuts == tried.old + tried.new >= 2 * tried.operations // 17
    assert tried.operations > 70
    assert bool(tried.new) == (trial.outcome == "confirmed") and tried.old


def test_the_trial_sees_a_boot_that_mixes() -> None:
    """One that passes over a module, and does not check."""

    def careless(source: str) -> str:
        changed = source.replace("                _check()\n", "")
        return changed.replace(
            '            if kind == "=":\n',
            '            if "m2" in path:\n                continue\n            if kind == "=":\n',
        )

    tried = cut_everywhere(dataclasses.replace(TRIALS[1], inner_every=0), 1, every=17, boot=careless)
    assert any("neither old nor new" in violation for violation in tried.violations)


def test_the_trial_sees_a_node_that_fetches_what_it_has() -> None:
    forgets = "\nfrom update import stage\nasync def _has(*_):\n    return False\nstage.Stage.has = _has\n"
    trial = dataclasses.replace(TRIALS[1], inner_every=0)
    tried = cut_everywhere(trial, 1, every=40, boot=lambda source: source + forgets)
    assert any("fetched anew" in violation for violation in tried.violations)
