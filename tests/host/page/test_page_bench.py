"""`quaver bench page`: what it measures is there. How long it took here says nothing, so no time is asserted."""

import pytest

from quaver.bench import page


@pytest.mark.long
def test_every_browser_hears_of_every_record_and_all_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_LIVE_S", 1)
    monkeypatch.setattr(page, "_PLANT", 20)
    monkeypatch.setattr(page, "_LOOKS", 1)
    monkeypatch.setattr(page, "_ALARMS", 1)
    steps: list[str] = []
    found = {figure.name.strip(): figure for figure in page.run_page(3, 20, steps.append, 8000)}
    assert found["browsers that heard of every record"].value == 3
    assert 100 < found["points"].value <= 1000
    assert all(figure.value >= 0 for figure in found.values()) and len(steps) == 10
    assert 0 < found["the page's files, compressed"].value < found["of every screen"].value < 300
    assert (
        found["in Chromium, a year: from the press to the charts"].value > found["from the last answer's arrival"].value
    )
