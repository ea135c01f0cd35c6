"""An alarm's whole life, by keyboard alone, and what no other hand may do to it."""

from typing import Any

import pytest
from looking import Looking, Served
from playwright.sync_api import expect

from quaver_wire.fields import EVENTS

LEVEL = EVENTS.index("level")


@pytest.mark.slowest
def test_an_alarm_lives_from_its_rise_to_the_history_by_keys_alone(look: Any, served: Served) -> None:
    """Raised, seen, acknowledged, shelved with an end, taken from the shelf, cleared: gone, and still to be read."""
    at: Looking = look()
    page = at.go("#/alarms")
    press, write = page.keyboard.press, page.keyboard.type
    row = page.locator(".alarm-row").filter(has_text="gear-4")
    expect(page.locator(".alarm-row").first).to_be_visible()
    expect(row).to_have_count(0)
    served.says("gear-4", "event", code=LEVEL, event_level=2, subject="velocity", value=7.5, limit=4.5)
    expect(row).to_be_visible()
    expect(row).to_contain_text("unacknowledged")

    at.walk_to("Search")
    write("gear-4")
    expect(page.locator(".alarm-row")).to_have_count(1)
    at.walk_until(".alarm-main")
    press("a")
    expect(page.get_by_role("dialog")).to_be_visible()
    write("grease is on its way")
    at.walk_to("Work order")
    write("WO-4711")
    press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row).to_contain_text("engineer")
    assert page.evaluate("document.activeElement.matches('.alarm-main')"), "the focus is back on the row"

    press("s")
    expect(page.get_by_role("dialog")).to_be_visible()
    press("Home")  # the shortest of the times
    at.walk_to("Reason")
    write("until the grease is here")
    at.walk_to("Work order")
    press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row).to_have_count(0)
    at.walk_to("Put aside", "Shift+Tab")
    press("Enter")
    expect(row).to_contain_text("shelved")
    expect(row).to_contain_text("until ")
    at.walk_to("Unshelve")
    press("Enter")
    expect(row).to_have_count(0)

    # what comes from the shelf wants to be acknowledged anew, also when it is over
    at.walk_to("Open", "Shift+Tab")
    press("Enter")
    expect(row).to_contain_text("unacknowledged")
    served.says("gear-4", "event", code=LEVEL, event_level=0, subject="velocity", value=2.0, limit=4.5)
    expect(row).to_contain_text("cleared, unacknowledged")
    at.walk_until(".alarm-main")
    press("a")
    at.walk_to("Work order")
    press("Enter")
    expect(row).to_have_count(0)
    at.walk_to("All", "Shift+Tab")
    press("Enter")
    expect(row).to_contain_text("normal")
    at.walk_until(".alarm-main")
    press("Enter")
    dialog = page.get_by_role("dialog")
    for told in ("grease is on its way", "WO-4711", "until the grease is here", "raised", "unshelved", "cleared"):
        expect(dialog).to_contain_text(told)
    done = [one for one in served.access.audit.rows() if one.about.startswith("alarm ")]
    assert len(done) == 4 and {one.who for one in done} == {"engineer"}, done
    assert not at.said, at.said


def test_what_one_bearing_raises_is_one_row_opened_and_acknowledged_by_keys(look: Any, served: Served) -> None:
    at: Looking = look()
    page = at.go("#/alarms")
    press = page.keyboard.press
    head = page.locator(".alarm-group > .alarm-row").filter(has_text="feed-pump-1")
    members = page.locator(".alarm-members .alarm-row")
    expect(head).to_contain_text("2 alarms: 2 unacknowledged")
    expect(members).to_have_count(0)
    head.locator(".alarm-main").focus()
    press("ArrowRight")
    expect(members).to_have_count(2)
    press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.alarm-members') !== null")
    press("ArrowLeft")
    expect(members).to_have_count(0)
    press("a")
    expect(page.get_by_role("dialog")).to_contain_text("Velocity has risen")
    page.keyboard.type("the bearing is ordered")
    at.walk_to("Work order")
    press("Enter")
    expect(head).to_contain_text("2 alarms: 2 acknowledged")
    assert page.evaluate("document.activeElement.matches('.alarm-group > .alarm-row > .alarm-main')")
    done = [one.details for one in served.access.audit.rows() if "the bearing is ordered" in one.details]
    assert len(done) == 2 and all('"together_with":1' in one for one in done), done
    assert not at.said, at.said
