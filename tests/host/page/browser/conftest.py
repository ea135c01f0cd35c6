"""A page that is served, and a browser that looks at it: the real Chromium, over the real server and store."""

import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plant as plants
import pytest
import uvicorn
from fleet import HOUR_MS
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from test_access import CHEAP, GOOD
from test_ingest import Bench

from quaver.access.access import Access
from quaver.access.roles import ROLES
from quaver.fleet.keys import KeyStore
from quaver.query.door import Door
from quaver.query.rollups import Rollups, follow
from quaver.serve.app import create_app
from quaver.serve.live import Hub, Live
from quaver.serve.plan import Plan
from quaver.serve.services import Services
from tests.waiting import wait_until

WIDTHS = {"phone": {"width": 390, "height": 844}, "wall": {"width": 1440, "height": 900}}
PATIENCE_MS = 20_000
_PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 200"><rect width="300" height="200"/></svg>'


@dataclass
class Served:
    """A page over the store in a folder, served until stop(); start() serves it again at the same port."""

    folder: Path
    nodes: dict[str, plants.PlacedNode]
    port: int = 0
    bench: Bench = field(init=False)
    access: Access = field(init=False)

    def __post_init__(self) -> None:
        self.bench = Bench(self.folder / "plant.sqlite", KeyStore(self.folder / "keys"))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        rollups = Rollups(self.folder / "page" / "rollups.sqlite")
        door = Door(self.folder / "plant.sqlite", rollups)
        with door.source() as source:
            for _ in follow(source, rollups, 1_000_000):
                pass
        hub = Hub()
        self.access = Access(self.folder / "page", CHEAP)
        for role in ROLES:
            if role not in [user.name for user in self.access.users.all()]:
                self.access.users.add(role, role, GOOD, by="test")
        plan = Plan(_PICTURE, "image/svg+xml", {"pump-1-de": (0.3, 0.4), "fan-2-de": (0.7, 0.6)})
        services = Services(door, self.folder / "page", "North Works", "Europe/Berlin", self.access, hub=hub)
        services.live, services.plan = Live(door, hub), plan
        config = uvicorn.Config(create_app(services), port=self.port, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def says(self, name: str, message_class: str = "telemetry", **values: Any) -> None:
        """A node says something, now."""
        now = time.time_ns() // 1_000_000
        when = {"time_ms": now, "uptime_ms": plants.HOURS * HOUR_MS + 60_000}
        self.bench.take(self.nodes[name].says(message_class, **when, **values), now=now)


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


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "chromium is missing: run tools/setup-system chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Looking:
    """A person at the page. said: errors of the console, scripts and answers; asked: every address asked for."""

    page: Page
    context: BrowserContext
    url: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def go(self, hash_: str) -> Page:
        """To a screen, as its heading shows."""
        self.page.evaluate("hash => { location.hash = hash; }", hash_)
        expect(self.page.locator("main h1").first).to_be_attached()
        expect(self.page.locator(".loading")).to_have_count(0)
        return self.page


@pytest.fixture(params=list(WIDTHS))
def width(request: pytest.FixtureRequest) -> str:
    """In what the page is looked at; a test without it has one width alone."""
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
