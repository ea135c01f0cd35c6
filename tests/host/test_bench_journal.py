"""The bench of the journal's wear: its figures are counted on flash, and they add up."""

import json

import pytest

from quaver.bench.journal import measure
from quaver.cli import main


def test_policies_cost_what_they_promise() -> None:
    report = measure(400)
    ram, always, outage = report.wears
    assert ram.erases < 10  # only the events are written
    assert 1900 <= always.programs <= 2300  # a record costs a page when it comes and one when it is acknowledged
    assert always.erases < 160
    assert always.erases < outage.erases < 600  # fewer than one erase a record, though each was kept and sent
    assert outage.bytes > always.bytes
    for wear in report.wears:
        minutes = report.free_blocks * 100_000 / (wear.erases / 1000) if wear.erases else float("inf")
        assert wear.years == pytest.approx(minutes / 60 / 24 / 365.25)
    assert always.years > 10 and outage.years > 10


def test_the_command_prints_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "journal", "--records", "1000", "--json"]) == 0
    figures = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [figure["unit"] for figure in figures].count("years") == 3
