"""A page that is served over a store, and a person at it."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import plant as plants
import uvicorn
from fleet import HOUR_MS
from playwright.sync_api import BrowserContext, Page, expect
from test_access import CHEAP, GOOD
from test_ingest import Bench

from quaver.access.access import Access
from quaver.access.roles import ROLES
from quaver.alarms.engine import Engine
from quaver.fleet.keys import KeyStore
from quaver.query.door import Door
from quaver.query.rollups import Rollups, follow
from quaver.rollout.desk import Desk
from quaver.serve.app import create_app
from quaver.serve.bringing import Bringing
from quaver.serve.live import Hub, Live
from quaver.serve.plan import Plan
from quaver.serve.services import Services
from quaver.serve.watch import Watch
from tests.waiting import wait_until

WIDTHS = {"phone": {"width": 390, "height": 844}, "wall": {"width": 1440, "height": 900}}
PATIENCE_MS = 20_000
_PICTURE = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 200"><rect width="300" height="200"/></svg>'
# Resolves once the page has begun with the screen: its own listener came first.
_GO = """hash => new Promise((done) => {
  if (location.hash === hash) return done();
  addEventListener("hashchange", () => done(), { once: true });
  location.hash = hash;
})"""
# What a control is called: by itself, by its label, or by what it shows.
_IS_CALLED = """name => {
  const { activeElement: one } = document;
  return (one.ariaLabel || one.labels?.[0]?.textContent || one.textContent).startsWith(name);
}"""


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

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.sqlite"

    def start(self) -> None:
        rollups = Rollups(self.folder / "page" / "rollups.sqlite")
        door = Door(self.folder / "plant.sqlite", rollups)
        with door.source() as source:
            for _ in follow(source, rollups, 1_000_000):
                pass
        hub = self._hub = Hub()
        self.access = Access(self.folder / "page", CHEAP)
        for role in ROLES:
            if role not in [user.name for user in self.access.users.all()]:
                self.access.users.add(role, role, GOOD, by="test")
        plan = Plan(_PICTURE, "image/svg+xml", {"pump-1-de": (0.3, 0.4), "fan-2-de": (0.7, 0.6)})
        services = Services(door, self.folder / "page", "North Works", "Europe/Berlin", self.access, hub=hub)
        services.plan, services.rollouts = plan, Desk(self.folder / "rollouts.sqlite", None)
        services.alarms = Engine(self.folder / "page" / "alarms.sqlite")
        services.live = Live(door, hub, Watch(services.alarms, self.access, door.clock_ms).step)
        services.bringing = Bringing(self.folder / "page", self.inventory, changed=lambda: hub.tell("bringing", {}))
        config = uvicorn.Config(create_app(services), port=self.port, log_level="warning", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_until(lambda: self._server.started)
        self.port = self._server.servers[0].sockets[0].getsockname()[1]

    def stop(self) -> None:
        self._hub.close()  # open browsers would keep it waiting
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()

    def says(self, name: str, message_class: str = "telemetry", **values: Any) -> None:
        """A node says something, now."""
        now = time.time_ns() // 1_000_000
        when = {"time_ms": now, "uptime_ms": plants.HOURS * HOUR_MS + 60_000}
        self.bench.take(self.nodes[name].says(message_class, **when, **values), now=now)


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
        self.page.evaluate(_GO, hash_)
        expect(self.page.locator("main h1").first).to_be_attached()
        expect(self.page.locator(".loading")).to_have_count(0)
        return self.page

    def walk_to(self, name: str, key: str = "Tab") -> None:
        """By keys alone to what is called so, or begins so."""
        self._walk(_IS_CALLED, name, key)

    def walk_until(self, selector: str) -> None:
        self._walk("selector => document.activeElement.matches(selector)", selector, "Tab")

    def _walk(self, arrived: str, wanted: str, key: str) -> None:
        for _ in range(60):
            self.page.keyboard.press(key)
            if self.page.evaluate(arrived, wanted):
                assert self.page.evaluate("document.activeElement.matches(':focus-visible')"), "it shows the focus"
                return
        raise AssertionError(f"no {wanted!r} by keys")
