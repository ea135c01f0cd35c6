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
from quaver.fleet.keys import KeyStore
from quaver.query.door import Door
from quaver.query.rollups import Rollups, follow
from quaver.serve.app import create_app
from quaver.serve.bringing import Bringing
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
        services.live, services.plan = Live(door, hub), plan
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
        self.page.evaluate("hash => { location.hash = hash; }", hash_)
        expect(self.page.locator("main h1").first).to_be_attached()
        expect(self.page.locator(".loading")).to_have_count(0)
        return self.page
