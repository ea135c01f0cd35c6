"""Makes the pictures of docs/page/: each screen of the page, on a phone and on the wall, over the plant of the demo.

    python tools/page_pictures.py                    runs the plant (minutes), then takes the pictures
    python tools/page_pictures.py --plant FOLDER     keeps the plant there; where one is already, takes that

The plant is the one of `quaver serve --demo`, seeded, with a date of its own; the page's clock stands at its end. So
the pictures differ from one run to the next only where the page does. It needs Chromium (tools/setup-system chromium).
"""

from __future__ import annotations

import argparse
import io
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from quaver.bench.page_browser import chromium
from quaver.fleet.inventory import Entry, Inventory
from quaver.plant.spec import load_plant
from quaver.plant.world import World
from quaver.provision.identity import new_code
from quaver.provision.runs import DONE, FAILED, WORKING, Runs, runs_path
from quaver.query.rollups import follow
from quaver.query.source import Source
from quaver.rollout.desk import Desk
from quaver.rollout.engine import FETCHING, PAUSED, PENALTY, UPDATED, Member, Rules
from quaver.rollout.state import Rollouts
from quaver.serve.bringing import Bringing
from quaver.serve.demo import PLANT, RECORDS
from quaver.serve.run import server, services
from quaver.serve.services import Services
from quaver.serve.watch import Watch

ROOT = Path(__file__).resolve().parents[1]
MINUTES = 100
ZONE = "Europe/Berlin"
SIZES = {"phone": (390, 844), "wall": (1440, 900)}
COLOURS = (160, 96, 64, 32)
MOST_BYTES = 60_000
# name -> where it is; {fan}: the id of the machine that wears out
SCREENS = {
    "plant": "plant",
    "trend": "node/{fan}/trend?range=hour&q=envelope_g",
    "spectrum": "node/{fan}/spectrum?kind=envelope",
    "waterfall": "node/{fan}/waterfall?kind=envelope",
    "diagnosis": "node/{fan}/diagnosis",
    "setup": "node/{fan}/setup",
    "log": "node/{fan}/log",
    "alarms": "alarms",
    "causes": "alarms?view=figures",
    "ledger": "ledger",
    "rollouts": "rollouts?show=all",
    "bringing": "bringing",
    "energy": "reports/energy?range=day",
    "availability": "reports/availability?range=day",
    "control": "reports/control?range=day&quantity=velocity_mm_s",
    "life": "reports/life?range=day",
    "users": "users",
}


def run_plant(folder: Path) -> None:
    plant = load_plant(PLANT).model_copy(update={"duration": MINUTES * 60.0})
    said = -1

    def told(time_s: float) -> None:
        nonlocal said
        if int(time_s) // 600 > said:
            said = int(time_s) // 600
            print(f"{10 * said} of {MINUTES} minutes", flush=True)

    with World(plant, folder, commit_s=60.0) as world:
        world.run(lambda progress: told(progress.time_s))


def people(found: Services, now_ms: int) -> None:
    """What people have done by then: the gravest alarm commented, one acknowledged, one put aside."""
    assert found.alarms is not None and found.access is not None
    with Source(found.door.location) as source:
        Watch(found.alarms, None, lambda: now_ms).step(source)
    rest = [alarm for alarm in found.alarms.listed((), None, 100) if alarm.active]
    if rest:
        found.alarms.comment(rest[0].id, "demo", now_ms - 900_000, "a new one is ordered", "bearing", "4711")
    quiet = [alarm for alarm in rest if alarm.level == "warning"]
    if quiet:
        found.alarms.acknowledge(quiet[-1].id, "demo", now_ms - 600_000, "seen, is watched", "bearing", "")
    if len(quiet) > 1:
        why = "the sensor is exchanged on Tuesday"
        found.alarms.shelve(quiet[-2].id, "demo", now_ms - 300_000, now_ms + 8 * 3_600_000, why)


def rollout(path: Path, rows: list[tuple[bytes, str]], now: float) -> None:
    """One that its second wave has paused. rows: id and topic prefix of each node. now: s since 1970."""
    states = [UPDATED, UPDATED, PENALTY, FETCHING]
    members = [
        Member(
            node, prefix, min(place, 2), states[place] if place < len(states) else "waiting",
            "restarted before it was confirmed" if place == 2 else "", counted=place == 2, since=now - 600,
        ) for place, (node, prefix) in enumerate(rows)
    ]  # fmt: skip
    with Rollouts(path) as rollouts:
        one = rollouts.start(
            sequence=7, version="0.2.0", envelopes=[b"one"], selectors=["works"], windows=["22:00-05:00"],
            rules=Rules(3, 100, 10, now + 86_400), members=members,
        )  # fmt: skip
        rollouts.save(one, PAUSED, "1 of 1 node of the second wave failed", members)


def bringing(folder: Path, now: float) -> Bringing:
    """Nodes on their way: one failed, one at work, one in service, two that wait. now: s since 1970."""
    inventory = folder / "inventory.sqlite"
    found = Bringing(folder, inventory, now=lambda: now - 900)
    steps = {"press-de": ("join", FAILED), "press-nde": ("check", WORKING), "mill-de": ("list", DONE), "saw-de": None}
    why = "the node can't join hall: wifi wrong password"
    with Runs(runs_path(inventory), lambda: now - 60) as runs, Inventory(inventory) as entries:
        for place, (name, step) in enumerate({**steps, "saw-nde": None}.items(), 1):
            node = bytes.fromhex(f"e66164084321{place:04x}")
            place_of = {"site": "works", "area": "hall", "line": "line-b", "asset": name.partition("-")[0]}
            if step is None or step[1] != DONE:
                found.put(node.hex(), new_code(), place_of | {"name": name, "mounting": "rigid"}, "demo")
            else:
                entries.put(Entry(node, name, **place_of, state="in service", board="pico_w", seen=int(now - 20)))
            if step is not None:
                prefix = "/".join((*place_of.values(), name))
                runs.tell(node, *step, why if step[1] == FAILED else "", prefix, fresh=True)
    found.plan_path = Path("/var/lib/quaver/page/plan.csv")  # the same in each picture
    return found


@contextmanager
def served(plant: Path, folder: Path) -> Iterator[tuple[str, str, str, int]]:
    """A page over the plant, as at its end: its address, somebody's cookie, the id of the fan, and when that is, ms."""
    with Source(plant / RECORDS) as source:
        now_ms = max(int(row[0]) for row in source.store.query("SELECT max(received_ms) FROM record")) + 1000
    with services(plant / RECORDS, folder, clock_ms=lambda: now_ms, name="demo works", zone=ZONE) as found:
        assert found.access is not None and found.door.rollups is not None
        with Source(plant / RECORDS) as source:
            for _ in follow(source, found.door.rollups, 1_000_000):
                pass
        found.access.users.add("demo", "admin", "correct horse battery", by="demo")
        secret = found.access.login("demo", "correct horse battery", "127.0.0.1")
        rows = found.door.nodes()
        people(found, now_ms)
        found.rollouts = Desk(folder / "rollouts.sqlite", None)
        rollout(folder / "rollouts.sqlite", [(bytes.fromhex(row.node), row.topic) for row in rows], now_ms / 1000)
        found.bringing = bringing(folder, now_ms / 1000)
        fan = next(row.node for row in rows if row.name == "fan")
        listening = socket.create_server(("127.0.0.1", 0))
        program = server(found)
        thread = threading.Thread(target=program.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", secret, fan, now_ms
        program.should_exit = True
        thread.join(30)


def picture(page: Page, path: Path) -> None:
    """Of what is on the screen, in so few colours that it is small, and sharp."""
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        image = shot.convert("RGB")
    for colours in COLOURS:
        plain = image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE)
        plain.save(path, optimize=True)
        size = path.stat().st_size
        if size <= MOST_BYTES:
            break
    print(f"{path.name}  {size / 1000:.1f} kB, {colours} colours", flush=True)


def pictures(browser: Browser, url: str, secret: str, fan: str, now_ms: int, folder: Path) -> None:
    for name, (width, height) in SIZES.items():
        context = browser.new_context(
            viewport={"width": width, "height": height}, locale="en-GB", color_scheme="light", reduced_motion="reduce"
        )
        context.clock.set_fixed_time(now_ms / 1000)
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Password").wait_for()
        picture(page, folder / f"login-{name}.png")
        context.add_cookies([{"name": "quaver_session", "value": secret, "url": url}])
        page.goto(f"{url}#/plant")
        page.reload()
        page.locator(".rail").wait_for()
        for screen, place in SCREENS.items():
            page.evaluate("hash => { location.hash = hash; }", f"#/{place.format(fan=fan)}")
            page.locator("main h1").first.wait_for(state="attached")
            expect(page.locator(".loading")).to_have_count(0, timeout=60_000)
            page.wait_for_load_state("load")
            page.wait_for_timeout(700)  # charts are drawn in the frames that follow
            picture(page, folder / f"{screen}-{name}.png")
        context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--plant", type=Path, metavar="FOLDER", help="keep the plant there, or take the one that is")
    parser.add_argument("--output", type=Path, metavar="FOLDER", default=ROOT / "docs/page", help="of the pictures")
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quaver-pictures-")))
        plant = given.plant or folder / "plant"
        if not (plant / RECORDS).exists():
            run_plant(plant)
        given.output.mkdir(parents=True, exist_ok=True)
        found = stack.enter_context(served(plant, folder / "page"))
        pictures(stack.enter_context(chromium()), *found, given.output)


if __name__ == "__main__":
    main()
