"""What a person sees when the server goes, when a session ends, and when a record's text means harm."""

import random
import re
import time
from typing import Any

import plant as plants
import pytest
from fleet import HOUR_MS
from looking import Looking, Served
from plant import HOURS, PlacedNode, measured, spectrum_values
from playwright.sync_api import Browser, expect
from test_access import GOOD
from test_ingest import Bench
from test_screens import PLACES, PUMP

from quaver.fleet.keys import KeyStore
from quaver_wire.fields import EVENTS


def test_a_server_that_restarts_is_missed_aloud_and_found_again(look: Any, served: Served) -> None:
    at: Looking = look()
    page = at.go(f"{PUMP}/trend")
    status = page.locator(".status")
    expect(status).to_have_text("Live")
    served.stop()
    expect(status).to_contain_text("No connection since")
    expect(page.get_by_role("alert")).to_contain_text("What you see is from before")
    served.says("pump-1-de", rms_g=0.654, level=2)  # while nobody listens
    served.start()
    expect(status).to_have_text("Live")
    expect(page.locator(".toast")).to_contain_text("The connection is back.")
    expect(page.locator(".value[data-name=rms_g]")).to_contain_text("0.654")
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.locator("h1")).to_have_text("pump-1-de")


def test_a_session_that_ends_leads_to_the_login_and_back(look: Any, served: Served) -> None:
    at: Looking = look(role="viewer")
    page = at.go(f"{PUMP}/spectrum?kind=envelope")
    at.context.clear_cookies()
    page.get_by_role("link", name="Trend").click()
    expect(page.get_by_label("Name")).to_be_visible()
    expect(page.locator(".toast")).to_contain_text("Your session has ended")
    page.get_by_label("Name").fill("viewer")
    page.get_by_label("Password").fill("a wrong one of twelve")
    page.get_by_role("button", name="Log in").click()
    expect(page.locator(".form-error")).to_contain_text("wrong")
    page.get_by_label("Password").fill(GOOD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("h1")).to_have_text("pump-1-de")
    assert page.url.endswith(f"{PUMP}/trend")


def test_a_role_that_may_not_is_offered_nothing(look: Any) -> None:
    at: Looking = look(role="viewer")
    page = at.go(f"{PUMP}/setup")
    expect(page.get_by_role("button", name="Identify")).to_have_count(0)
    expect(page.get_by_label("Change")).to_have_count(0)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    at.go("#/alarms")
    expect(page.locator(".alarm-main").first).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("^Acknowledge"))).to_have_count(0)
    for key in "acso":
        page.locator(".alarm-main").first.press(key)
    expect(page.get_by_role("dialog")).to_have_count(0)
    at.go("#/rollouts")
    expect(page.get_by_text("1.4.1").first).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)


@pytest.mark.parametrize(
    ("role", "asked"),
    [
        ("viewer", [("POST", "alarms/1/acknowledge"), ("POST", "nodes/pump-1-de/commands")]),
        ("technician", [("POST", "rollouts/1/resume")]),
        ("engineer", [("GET", "users"), ("GET", "audit")]),
    ],
)
def test_what_a_page_does_not_offer_the_server_does_not_do(look: Any, role: str, asked: list[tuple[str, str]]) -> None:
    """From the page's own scripts, with the session and the token that they have."""
    page = look(role=role).page
    for method, path in asked:
        answered = page.evaluate(
            """async ([method, path]) => {
              const csrf = (await (await fetch("api/v1/me")).json()).csrf;
              const headers = { "content-type": "application/json", "x-csrf-token": csrf };
              const body = method === "GET" ? undefined : "{}";
              return (await fetch(`api/v1/${path}`, { method, headers, body })).status;
            }""",
            [method, path],
        )
        assert answered == 403, path


MARK = "__ran"
_PIECES = (
    "<script>window.{m}=1<{s}script>", "<img src=x onerror=window.{m}=1>", "<svg onload=window.{m}=1>",
    "\"><img src=x onerror=window.{m}=1>", "' onfocus=window.{m}=1 autofocus='", "javascript:window.{m}=1",
    "<iframe srcdoc='<script>parent.{m}=1<{s}script>'>", "<a href=javascript:window.{m}=1>x<{s}a>",
    "{{constructor.constructor('window.{m}=1')()}}", "${{window.{m}=1}}", "<style>@import '{h}'<{s}style>",
    "<base href='{h}'>", "<link rel=stylesheet href='{h}'>", "<meta http-equiv=refresh content='0;url={h}'>",
    "<form action='{h}'><button autofocus>", "<object data='{h}'>", "<video><source onerror=window.{m}=1>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.{m}=1>", "\u202egpj.exe", "\ufeff<b>", "]]><x>",
    "&lt;img src=x onerror=window.{m}=1&gt;", "%3Cscript%3Ewindow.{m}=1%3C%2Fscript%3E", "__proto__", "constructor",
    "<details open ontoggle=window.{m}=1>", "<input onfocus=window.{m}=1 autofocus>", "a" * 60,
)  # fmt: skip


# As long as a name may be; a() is what page.add_init_script defines.
NAMES = (
    "<img src=q onerror=a()>",
    "<svg onload=a()>",
    "'onfocus=a() autofocus='",
    "javascript:a()",
    "'\"><u>",
    "{{a()}}",
)


def harmful(count: int) -> list[str]:
    """Texts that would run, load or break something where they are read as anything but text."""
    draw = random.Random(19)
    pieces = [piece.format(m=MARK, s="/", h="http://elsewhere.test") for piece in _PIECES]
    mixed = ["".join(draw.sample(pieces, 2)) for _ in range(count - len(pieces))]
    for place, text in enumerate(mixed):
        if draw.random() < 0.5:
            cut = draw.randrange(len(text))
            mixed[place] = text[:cut] + draw.choice("\"'<>`\\ =") + text[cut:]
    return pieces + mixed


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A page over records whose every text is a harmful one."""
    folder = tmp_path_factory.mktemp("hostile")
    keys, now = KeyStore(folder / "keys"), time.time_ns() // 1_000_000
    bench = Bench(folder / "plant.sqlite", keys)
    texts = harmful(50)
    nodes = {}
    for place, text in enumerate(texts):
        # a name has 24 characters at most, and no sign of a topic's own
        name = "".join(sign for sign in text if sign.isprintable() and sign not in "/+#")
        name = NAMES[place] if place < len(NAMES) else f"{name[:22]}{place}"
        part = "".join(sign for sign in text if sign.isprintable() and sign not in "/+#")
        node = PlacedNode(keys, bytes([0xB2, 0, 0, 0, 0, 0, 0, place]), name, f"{part}/{name}/{part}/{name}")
        nodes[f"node-{place}"] = node
        at = {"time_ms": now - 60_000, "uptime_ms": HOURS * HOUR_MS}
        bench.take(
            node.says("status", firmware=text[:60], board=text[-60:], interval_s=60, **at),
            node.says(**measured(0.9, place), level=2, abstained=text, **at),
            node.says(**spectrum_values(0.9, place), level=2, **at),
            node.says("event", code=EVENTS.index("level"), event_level=2, subject=text, value=1.0, limit=0.5, **at),
            node.says("event", code=EVENTS.index("config_rejected"), text=text, subject=name, **at),
            now=now,
        )
    bench.store.close()
    plants.rollout(folder / "rollouts.sqlite", nodes, now / 1000, texts[1])
    served = Served(folder, nodes)
    served.start()
    yield served
    served.stop()
    served.bench.store.close()


def test_no_text_of_a_record_is_ever_more_than_text(chromium: Browser, hostile: Served) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    secret = hostile.access.login("engineer", GOOD, "127.0.0.1")
    context.add_cookies([{"name": "quaver_session", "value": secret, "url": hostile.url}])
    page = context.new_page()
    asked: list[str] = []
    trouble: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("console", lambda line: trouble.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.add_init_script(f"window.a = () => {{ window.{MARK} = 1; }}")
    page.goto(hostile.url)
    expect(page.locator(".node-row").first).to_be_visible()
    some = [f"#/node/{hostile.nodes[name].id.hex()}" for name in list(hostile.nodes)[::20]]
    parts = [f"{one}/{part}" for one in some for part in ("trend", "spectrum", "diagnosis", "log")]
    places = ["#/plant?q=%3Cscript", *(place for place in PLACES.values() if PUMP not in place), *parts]
    for place in ["#/plant", *places]:
        page.evaluate("hash => { location.hash = hash; }", place)
        expect(page.locator("main h1").first).to_be_attached()
        expect(page.locator(".loading")).to_have_count(0)
        for button in page.locator(".tree-head[aria-expanded=false], .alarm-main").all()[:3]:
            button.click()
            page.keyboard.press("Escape")  # where it has opened a window
        # what we made ourselves, and nothing that a text could have made
        strange = page.evaluate(
            "document.querySelectorAll('iframe,object,embed,base,video:not(.camera-picture),math,form:not(.form),"
            "img:not(.plan img),"
            "script:not([src]),style,[onerror],[onload],[onfocus],[ontoggle],a[href^=javascript]').length"
        )
        assert strange == 0, place
    hostile.says("node-0", "event", code=EVENTS.index("level"), event_level=2, subject=harmful(50)[1], value=2.0)
    expect(page.locator("main")).to_be_visible()
    assert page.evaluate(f"window.{MARK}") is None
    assert all(address.startswith(hostile.url) for address in asked)
    assert not trouble, trouble
    # and they are there, as text
    page.goto(f"{hostile.url}#/node/{hostile.nodes['node-0'].id.hex()}/log")
    expect(page.locator("main")).to_contain_text(f"<script>window.{MARK}=1</script>")
    context.close()
