"""A page that is served, and a browser that looks at it: the real Chromium, over the real server and store."""

import time
from collections.abc import Iterator
from typing import Any

import plant as plants
import pytest
from looking import PATIENCE_MS, WIDTHS, Looking, Served
from playwright.sync_api import Browser, expect, sync_playwright
from test_access import GOOD

from quaver.bench.page_browser import chromium_path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The plant of plant.py; a file of tests shares it."""
    folder = tmp_path_factory.mktemp("page")
    _, nodes = plants.fill(folder, time.time_ns() // 1_000_000)
    found = Served(folder, nodes)
    found.start()
    yield found
    found.stop()
    found.bench.store.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One for a file of tests: while it is there, a loop runs in this thread, and no other test could run its own."""
    path = chromium_path()
    assert path, "chromium is missing: run tools/setup-system chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["phone", pytest.param("wall", marks=pytest.mark.nightly)])
def width(request: pytest.FixtureRequest) -> str:
    """In what the page is looked at; a test without it has one width alone.

    On the phone, where it is narrow, in `make test`; on the wall, which test_screens.py looks at daily too, nightly.
    """
    return str(request.param)


@pytest.fixture
def look(chromium: Browser, served: Served) -> Iterator[Any]:
    """Opens the page as somebody: look(role="engineer", width="phone")."""
    contexts = []

    def open_page(role: str = "engineer", width: str = "wall", **settings: Any) -> Looking:
        context = chromium.new_context(viewport=WIDTHS[width], locale="en-GB", reduced_motion="reduce", **settings)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        if role:
            secret = served.access.login(role, GOOD, "127.0.0.1")
            context.add_cookies([{"name": "quaver_session", "value": secret, "url": served.url}])
        page = context.new_page()

        def heard(text: str, where: str) -> None:
            # without an operator's key the server says so to who asks for commands, and a browser notes it
            if not where.endswith("/commands"):
                looking.said.append(f"{text} {where}")

        looking = Looking(page, context, served.url)
        page.on("console", lambda line: heard(line.text, line.location["url"]) if line.type == "error" else None)
        page.on("pageerror", lambda error: looking.said.append(str(error)))
        page.on("request", lambda request: looking.asked.append(request.url))
        page.goto(served.url)
        expect(page.locator("main h1").first).to_be_attached()
        return looking

    expect.set_options(timeout=PATIENCE_MS)
    yield open_page
    for context in contexts:
        context.close()
