"""Each screen in Chromium, on a phone and on the wall: nothing fails, axe finds nothing, keys alone are enough."""

import re
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from looking import Looking, Served
from playwright.sync_api import Page, expect

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE_OPTIONS = {"runOnly": RULES, "resultTypes": ["violations"]}
PUMP = "#/node/a100000000000001"
SCREENS = {
    "plant": {
        "plant": "#/plant",
        "found": "#/plant?q=pump&state=alarm",
        "tiles": "#/plant?view=tiles",
        "plan": "#/plant?view=map",
        "more": "#/more",
        "nowhere": "#/nowhere",
    },
    "node": {
        part: f"{PUMP}/{part}" for part in ("trend", "spectrum", "waterfall", "waveform", "diagnosis", "setup", "log")
    },
    "work": {
        **{f"alarms {show}": f"#/alarms?show={show}" for show in ("open", "aside", "all")},
        "figures of alarms": "#/alarms?view=figures",
        "rollouts": "#/rollouts",
        "all of a rollout": "#/rollouts?show=all",
        "bringing in": "#/bringing",
    },
    "figures": {
        **{f"ledger {view}": f"#/ledger?view={view}" for view in ("gaps", "refusals", "clocks", "security")},
        **{f"report {kind}": f"#/reports/{kind}?range=week" for kind in ("energy", "availability", "control", "life")},
    },
}
PLACES = {name: place for part in SCREENS.values() for name, place in part.items()}
ON_THE_PHONE = ("plant", "trend", "log", "alarms open", "rollouts", "ledger gaps")  # they look otherwise there
ALIKE = ("found", "nowhere", "alarms aside", "all of a rollout")  # as another, with less or more in it
# A key of the words, which stands there where its text is missing.
WORD = re.compile(
    r"(?<![\w/])(?:action|alarms|chart|diagnosis|error|event|ledger|log|nav|node|plant|quantity|reports|rollouts|setup|shell|"
    r"spectrum|state|trend|waterfall|waveform)\.[a-z][\w.]*"
)


def check_with_axe(page: Page) -> None:
    """axe-core's rules for WCAG 2.2 AA: nothing serious or critical, of the whole screen, also below its foot.

    A page reads axe once: it is larger than all of the page's own scripts, and stays until the page is loaded anew.
    """
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    size = page.viewport_size
    assert size is not None
    height = page.evaluate("document.documentElement.scrollHeight") + 100
    page.set_viewport_size({**size, "height": height})
    page.wait_for_function("height => innerHeight === height", arg=height)
    found = page.evaluate("async options => (await axe.run(options)).violations", AXE_OPTIONS)
    page.set_viewport_size(size)
    grave = [one for one in found if one["impact"] in ("serious", "critical")]
    assert not grave, [(one["id"], one["help"], [node["html"][:200] for node in one["nodes"][:3]]) for one in grave]


# On the phone, the dark screens in German are looked at daily below, whose words are longer. The tokens' contrasts are
# held for both schemes in test_static.py.
@pytest.mark.parametrize(
    ("width", "scheme"), [pytest.param("phone", "dark", marks=pytest.mark.nightly), ("wall", "light")]
)
@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.slowest] if part == "figures" else []) for part in SCREENS]
)
def test_each_screen_shows_itself_without_an_error_and_to_everybody(
    look: Any, part: str, width: str, scheme: str
) -> None:
    at: Looking = look(width=width, color_scheme=scheme)
    for name, place in SCREENS[part].items():
        page = at.go(place)
        expect(page.locator("main h1").first).to_be_visible()
        assert page.title().endswith("North Works · Quaver"), name
        if name in ON_THE_PHONE or (width == "wall" and name not in ALIKE):
            check_with_axe(page)
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} px too wide"
    assert not at.said, at.said
    assert all(address.startswith(at.url) for address in at.asked)


def test_what_is_wrong_stands_first_and_is_found_by_words_state_and_version(look: Any) -> None:
    page = look().page
    wrong = page.locator("section.wrong .node-row")
    expect(wrong).to_have_count(3)
    names = page.locator("section.wrong .node-name").all_inner_texts()
    assert names == ["pump-1-de", "quiet-5", "fan-2-de"]
    expect(wrong.first).to_contain_text("outer race")
    expect(wrong.nth(1)).to_contain_text("silent since")
    # the tree, worst first, with what stands in each place
    heads = page.locator(".tree > li > .tree-head")
    assert [text.split("\n")[0] for text in heads.all_inner_texts()] == ["north", "south \u203a yard \u203a line-d"]
    page.get_by_role("searchbox").fill("line-d")
    expect(page).to_have_url(re.compile("q=line-d"))
    expect(page.locator(".node-list .node-row")).to_have_count(3)
    page.get_by_role("combobox", name="Kind").select_option("gateway")
    expect(page.locator(".node-list .node-name")).to_have_text(["gateway-6"])
    assert "role=gateway" in page.url and "q=line-d" in page.url
    page.get_by_role("searchbox").fill("no such thing")
    page.get_by_role("button", name="Show all nodes").click()
    expect(wrong).to_have_count(3)
    page.get_by_role("group", name="Show by state").get_by_role("button", name="Gone").click()
    expect(page.locator(".node-list .node-name")).to_have_text(["quiet-5"])
    page.get_by_role("group", name="View").get_by_role("button", name="Plan").click()
    page.get_by_role("group", name="Show by state").get_by_role("button", name="Gone").click()
    expect(page.locator(".pin")).to_have_count(2)
    assert page.locator(".plan img").evaluate("image => image.complete && image.naturalWidth > 0")


def test_keys_alone_lead_from_the_plant_to_a_held_cursor(look: Any) -> None:
    at: Looking = look(width="phone")
    page, walk_to = at.page, at.walk_to
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    walk_to("north")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="north").first).to_have_attribute("aria-expanded", "false")
    assert page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "false", "the focus stays"
    walk_to("pump-1-de", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("pump-1-de")
    expect(page.locator("h1")).to_be_focused()
    walk_to("Spectrum")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Spectrum")).to_have_attribute("aria-current", "page")
    walk_to("Amplitude over frequency")
    before = page.locator(".readout").inner_text()
    for key in ("ArrowLeft", "Shift+ArrowLeft", "Enter", "ArrowLeft", "+", "-", "0"):
        page.keyboard.press(key)
    assert page.locator(".readout").inner_text() != before
    expect(page.locator(".reading")).to_contain_text("Held at")
    expect(page.locator(".reading")).to_contain_text("Distance")
    # what stands in the picture stands in words and in a table, too
    expect(page.locator("figure figcaption")).to_contain_text("Highest lines:")
    walk_to("As a table", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    assert page.get_by_role("dialog").locator("tbody tr").count() > 100
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.activeElement.ariaLabel") == "As a table"


def test_a_row_of_the_waterfall_leads_to_its_spectrum_and_another_lies_behind_it(look: Any) -> None:
    at: Looking = look()
    page = at.go(f"{PUMP}/waterfall")
    picture = page.get_by_role("slider")
    picture.press("End")
    oldest = picture.get_attribute("aria-valuetext")
    picture.press("ArrowUp")
    assert picture.get_attribute("aria-valuetext") != oldest
    picture.press("Enter")
    expect(page.locator(".keys")).to_contain_text("this:")
    assert re.search(r"/spectrum/1/\d+\?kind=spectrum$", page.url)
    against = page.get_by_label("Compare with")
    against.select_option(index=1)
    expect(page.locator(".keys")).to_contain_text("compared:")
    assert "after learning" in against.locator("option:checked").inner_text()
    page.get_by_role("button", name="Envelope", exact=True).click()
    expect(page.locator("figcaption").first).to_contain_text("Envelope of")
    page.get_by_role("button", name="Older record").click()
    assert not at.said


def test_a_record_comes_as_it_is_told_and_leaves_a_zoom_alone(look: Any, served: Served) -> None:
    at: Looking = look()
    page = at.go(f"{PUMP}/trend?range=hour")
    value = page.locator(".value[data-name=rms_g] .value-number")
    served.says("pump-1-de", rms_g=0.777, velocity_mm_s=6.3, level=2)
    expect(value).to_contain_text("0.777")
    expect(page.locator(".readout")).to_contain_text("6.3")
    page.get_by_role("button", name="Zoom in").click()
    expect(page.locator(".chart.is-zoomed").first).to_be_attached()
    with page.expect_response(lambda answer: "/series" in answer.url):
        page.get_by_role("button", name="Zoom in").click()
    served.says("pump-1-de", rms_g=0.888, velocity_mm_s=6.4, level=2)
    expect(value).to_contain_text("0.888")
    expect(page.locator(".chart.is-zoomed").first).to_be_attached()
    page.get_by_role("button", name="Show all").click()
    expect(page.locator(".chart.is-zoomed")).to_have_count(0)
    for name in ("Day", "Week", "Month", "Year"):
        page.get_by_role("button", name=name, exact=True).click()
        expect(page.locator("figcaption").first).to_contain_text("velocity")
    expect(page.locator(".marks")).to_contain_text("outer race")
    assert not at.said


def test_a_waveform_is_seen_and_heard(look: Any) -> None:
    at: Looking = look()
    page = at.go(f"{PUMP}/waveform")
    expect(page.locator("figcaption")).to_contain_text("2,048 samples at 26,667")
    play = page.get_by_role("button", name="Play")
    page.get_by_label("Again and again").check()
    play.click()
    stop = page.get_by_role("button", name="Stop")
    expect(stop).to_be_enabled()
    stop.click()
    expect(play).to_be_enabled()
    assert not at.said


@pytest.mark.slowest
def test_the_page_speaks_german_on_each_screen_of_a_phone_and_remembers_it(look: Any) -> None:
    at: Looking = look(width="phone", color_scheme="dark")
    page = at.go("#/more")
    page.get_by_role("button", name="Deutsch").click()
    expect(page.locator("h1")).to_have_text("Mehr")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    for name, place in PLACES.items():
        at.go(place)
        if name in ON_THE_PHONE:
            check_with_axe(page)
        shown = page.locator("body").inner_text()
        assert not WORD.findall(shown), f"{name}: words without a translation: {WORD.findall(shown)}"
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0, f"{name} is {wide} px too wide"
    at.go(f"{PUMP}/diagnosis")
    expect(page.get_by_role("link", name="Verlauf")).to_be_visible()
    assert not at.said, at.said


def test_nothing_moves_for_who_does_not_want_it(look: Any) -> None:
    """What waits for an answer breathes; here it waits for ever."""

    def moving(page: Page) -> int:
        page.route("**/api/v1/alarms?*", lambda route: None)
        page.evaluate("location.hash = '#/alarms'")
        expect(page.locator(".bone").first).to_be_visible()
        return int(page.evaluate("document.getAnimations().length"))

    at: Looking = look()
    assert moving(at.page) == 0
    at.page.emulate_media(reduced_motion="no-preference")
    assert at.page.evaluate("document.getAnimations().length") > 0
