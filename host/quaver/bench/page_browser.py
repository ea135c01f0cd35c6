"""How quick the page is for an eye: the real Chromium, which opens it, draws a year of a node and shows an alarm.

Nothing of the page is changed for it. A script that runs before the page's own notes when the browser has painted
something; times are the browser's, of the wall clock. Each look is a new profile, with nothing in its cache.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quaver.bench import Figure
from quaver.errors import PageError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

SCREENS = ("alarms", "ledger", "reports", "rollouts", "users", "more")
NODE_PARTS = ("trend", "spectrum", "waterfall", "waveform", "diagnosis", "setup", "log")
_SIZE = {"width": 1440, "height": 900}
_PATIENCE_MS = 60_000
_FIRST_GOAL_MS, _YEAR_GOAL_MS, _ALARM_GOAL_MS, _WEIGHT_GOAL_KB = 1000, 300, 1000, 300
_NOTES = Path(__file__).with_suffix(".js")


def chromium_path() -> str | None:
    """Where Chromium is; its headless shell first, which shows the same for less of a processor."""
    return shutil.which("chromium-headless-shell") or shutil.which("chromium")


def why_not() -> str:
    """Why nothing can be measured in a browser here; "" where it can."""
    if chromium_path() is None:
        return "Chromium is not installed: run apt-get install chromium-headless-shell"
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed: run pip install 'quaver[bench]'"
    return ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium, as the system has it. Raises PageError."""
    from playwright.sync_api import Error, sync_playwright

    # Without its sandbox, which root does not have: it loads our own page alone.
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
            yield browser
            browser.close()
        except Error as error:
            raise PageError(f"Chromium: {error.message.splitlines()[0]}; try again, or look at the page") from error


@dataclass(frozen=True)
class Viewer:
    """Somebody who is logged in at a page. url: without a slash behind. session: their cookie's value."""

    url: str
    session: str

    @contextmanager
    def page(self, browser: Browser) -> Iterator[Page]:
        context = browser.new_context(viewport=_SIZE, locale="en-GB")  # type: ignore[arg-type]
        context.set_default_timeout(_PATIENCE_MS)
        context.add_cookies([{"name": "quaver_session", "value": self.session, "url": self.url}])
        context.add_init_script(path=_NOTES)
        yield context.new_page()
        context.close()


class _Work:
    """What the browser's main thread for a page has had of a core: it does not grow where the machine is busy."""

    def __init__(self, page: Page) -> None:
        self._line: CDPSession = page.context.new_cdp_session(page)
        self._line.send("Performance.enable", {"timeDomain": "threadTicks"})

    def ms(self) -> float:
        metrics = self._line.send("Performance.getMetrics")["metrics"]
        return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


class _Weight:
    """Bytes that came over the network, as they came, of the page's own files and of the API."""

    def __init__(self, page: Page) -> None:
        self.files = self.answers = 0
        self._api: dict[str, bool] = {}
        self._line: CDPSession = page.context.new_cdp_session(page)
        self._line.on("Network.responseReceived", self._began)
        self._line.on("Network.loadingFinished", self._ended)
        self._line.send("Network.enable")

    def _began(self, told: Any) -> None:
        self._api[told["requestId"]] = "/api/" in told["response"]["url"]

    def _ended(self, told: Any) -> None:
        if self._api.get(told["requestId"]):
            self.answers += int(told["encodedDataLength"])
        else:
            self.files += int(told["encodedDataLength"])


def first_paint(viewer: Viewer, nodes: int, looks: int) -> list[Figure]:
    """The plant's screen, opened by somebody who was never there."""
    paints: list[float] = []
    rows: list[float] = []
    works: list[float] = []
    with chromium() as browser:
        for _ in range(looks):
            with viewer.page(browser) as page:
                weight, work = _Weight(page), _Work(page)
                page.goto(f"{viewer.url}/#/plant")
                rows.append(page.evaluate("async () => (await bench.nodes).page"))
                works.append(work.ms())
                paints.append(page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime"))
                page.wait_for_load_state("load")
                first, data = weight.files, weight.answers
        with viewer.page(browser) as page:
            weight = _Weight(page)
            page.goto(f"{viewer.url}/#/plant")
            page.evaluate("async () => (await bench.nodes).page")
            for place in [*SCREENS, *(f"node/{1:016x}/{part}" for part in NODE_PARTS)]:
                page.evaluate("hash => bench.go(hash)", f"#/{place}")
            every = weight.files
    return [
        Figure(f"in Chromium, {nodes:,} nodes: first contentful paint", _median(paints), "ms", _FIRST_GOAL_MS),
        Figure("  the quickest", round(min(paints)), "ms"),
        Figure("  the nodes themselves", _median(rows), "ms", _FIRST_GOAL_MS),
        Figure("  the quickest", round(min(rows)), "ms"),
        Figure("  of it the browser works", _median(works), "ms"),
        Figure("  the page's files, compressed", round(first / 1000, 1), "kB"),
        Figure("  of every screen", round(every / 1000, 1), "kB", _WEIGHT_GOAL_KB),
        Figure("  the nodes, compressed", round(data / 1000, 1), "kB"),
    ]


def year(viewer: Viewer, node: str, looks: int) -> list[Figure]:
    """A year of a node, from the press of its button to the charts, and from the arrival of the last answer."""
    presses: list[float] = []
    datas: list[float] = []
    works: list[float] = []
    with chromium() as browser:
        for _ in range(looks):
            with viewer.page(browser) as page:
                page.goto(f"{viewer.url}/#/node/{node}/trend?range=day")
                page.evaluate("bench.allDrawn()")
                button = page.get_by_role("button", name="Year", exact=True).element_handle()
                work = _Work(page)
                before = work.ms()
                took = page.evaluate("button => bench.draws(button)", button)
                works.append(work.ms() - before)
                presses.append(took["press"])
                datas.append(took["data"])
    return [
        Figure("in Chromium, a year: from the press to the charts", _median(presses), "ms", _YEAR_GOAL_MS),
        Figure("  the quickest", round(min(presses)), "ms"),
        Figure("  from the last answer's arrival", _median(datas), "ms", _YEAR_GOAL_MS),
        Figure("  of it the browser works", _median(works), "ms"),
    ]


def alarm(viewer: Viewer, publish: Callable[[int], str], looks: int) -> list[Figure]:
    """From a message's way into the broker to the row in the list of alarms.

    publish(number): the message of another node each, and that node's name.
    """
    ways: list[float] = []
    with chromium() as browser, viewer.page(browser) as page:
        page.goto(f"{viewer.url}/#/alarms")
        page.wait_for_selector(".status:has-text('Live')")
        page.wait_for_selector("main h1")
        for number in range(looks):
            began = time.time() * 1000
            name = publish(number)
            seen = page.evaluate("async (name) => (await bench.when('main li', name)).clock", name)
            ways.append(seen - began)
    return [
        Figure("in Chromium, an alarm, from broker to screen", _median(ways), "ms"),
        Figure("  the slowest", round(max(ways)), "ms", _ALARM_GOAL_MS),
    ]


def _median(found: list[float]) -> int:
    return round(statistics.median(found))
