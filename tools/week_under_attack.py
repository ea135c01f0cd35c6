"""A virtual week of a node behind a gateway, under attack and outage: is a record lost, a restart or a leak found?

    tools/week_under_attack.py --hours 168

Both are the firmware on unix boards, in the time of one plant (docs/plant.md), with the ingest behind them. Beside the
plant's own faults there are strangers in the radio's range and at the broker (tools/strangers.py), a technician who
sends a command now and then, and a blank node at which somebody guesses codes. It prints what was done and what came of
it. Exit code 1 when a record is missing without a reason, a board restarted that kept its power, a heap has less than
it had, a stranger got or changed something, or a command of the technician was not done. A Ctrl-C, or the end of the
process, ends the week earlier; what was done by then is told.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from strangers import AtBroker, Guesser, Nearby, Tally

from quaver.build import firmware_files
from quaver.emulator.identity import Identity
from quaver.emulator.radio import Path as RadioPath
from quaver.emulator.setup import Setup
from quaver.emulator.site_broker import Message
from quaver.emulator.unix import UnixBoard
from quaver.errors import QuaverError
from quaver.fleet.keys import KeyStore
from quaver.fleet.link_keys import derive
from quaver.fleet.sealed_command import Commands
from quaver.messages.sealing import Opener, SealError
from quaver.plant.island import Island, IslandPlan, Worker
from quaver.plant.judge import judge
from quaver.plant.spec import Plant, plant_of
from quaver.plant.world import Progress, World, clock
from quaver.store.ledger import ledger
from quaver.store.store import Store

NODE, GATEWAY, BLANK, STOLEN = "pump", "gate", "blank", "old-gate"
PLACE = "works/yard/line-3/pump"
OFFICE = "works/yard/line-3/office"
HOUR = 3600.0
SLACK = 2048  # bytes by which a heap's median may fall, in a boot of so many hours: in the first ones it still learns
SETTLED_H = 6.0
CALM = 0.4  # of the run, after which no power is cut: a leak needs time to show
QUIET = 0.95  # after which nothing is begun any more, and a little later all has ended: what waits is to arrive
OVER = 0.97
_CODE = "0123456789ABCDEF"
_AGAIN_S = 900.0  # after which a technician who has no answer sends the command again
_HEAP = """
SELECT topic, boot, uptime_ms / 1000.0, json_extract(body, '$.heap_free') FROM record JOIN node ON node.number = node
WHERE class = 'telemetry' ORDER BY topic, boot, seq
"""


def plant(hours: float, seed: int) -> Plant:
    """A node, its gateway, and what befalls them: so many a day, and each at least once."""
    days, whole = hours / 24, hours * HOUR
    long = hours >= 24

    def seconds(time_s: float) -> str:
        return f"{time_s:.1f}s"

    def several(kind: str, a_day: float, lasts_s: float, until: float = QUIET, **more: Any) -> dict[str, Any]:
        end = whole * until - min(lasts_s, whole / 20)
        lasts = seconds(min(lasts_s, whole / 20))
        count = max(1, round(a_day * days))
        return {"kind": kind, "at": seconds(whole / 30), "by": seconds(end), "count": count, "lasts": lasts, **more}

    node: dict[str, Any] = {"node": NODE}
    gate: dict[str, Any] = {"node": GATEWAY}
    return plant_of(
        {
            "name": "a week under attack",
            "seed": seed,
            "duration": seconds(whole),
            "exchange": "60s" if long else "20s",
            "machine": [{"place": PLACE}],
            "gateway": [
                {
                    "name": GATEWAY,
                    "place": OFFICE,
                    "interval": "5m" if long else "40s",
                    "config": {"outbox": {"durable": True}},
                }
            ],
            "node": [
                {
                    "name": NODE,
                    "place": PLACE,
                    "gateway": GATEWAY,
                    "interval": "5m" if long else "40s",
                    "sensors": ["vibration", "temperature", "energy"],
                    "config": {"ble": {"interval_ms": 250, "window_s": 10, "rest_s": 50 if long else 30}},
                }
            ],
            "fault": [
                several("power_cut", 1, 90, CALM, **node),
                *([several("brownout", 0.3, 20, CALM, **node)] if long else []),
                several("flash_cut", 2, 20, CALM, **node),
                several("gateway_dies", 1, 900, CALM, **gate),
                several("flash_cut", 2, 20, CALM, **gate),
                several("wifi_gone", 2, 1500, **gate),
                several("broker_restart", 2, 1800),
                several("broker_restart", 0, 12 * HOUR),
                several("out_of_range", 2, 1800, **node),
                several("lossy", 2, HOUR, loss=0.3, **node),
                several("lossy", 1, HOUR, loss=0.3, **gate),
                several("ingest_down", 0.5, 2 * HOUR),
                several("full_disk", 0.3, HOUR),
                several("clock", 0.3, HOUR, jump="25m"),
                several("replay", 12, 1, **node),
                several("replay", 12, 1, **gate),
                several("forged", 24, 1),
            ],
            "expect": {"restarts": 0},
        }
    )


# How often a day each is done, by whom it is done to.
TO_NODE, TO_GATEWAY, BETWEEN, AT_BROKER, IN_PLACE, COMMANDS = 24, 12, 8, 48, 4, 4
BETWEEN_S, IN_PLACE_S, GUESS_S = 300.0, 300.0, 2 * HOUR


class Besieged(Island):
    """The plant's island with strangers in it. folder: gets the key store of a technician."""

    def __init__(self, plan: IslandPlan, hours: float, folder: Path) -> None:
        super().__init__(plan)
        assert self._radio is not None
        self.tally = Tally()
        self._air = self._radio.air
        self._whole = hours * HOUR
        self._seed = plan.seed
        self._doing: list[Future[Any]] = []
        self.failed: list[str] = []
        self.blank = self._blank()
        self.opened: bool | None = None
        self.sent: dict[int, str] = {}
        self.answered: set[int] = set()
        members = {member.node.name: member for member in plan.members}
        node = members[NODE]
        self._revoked_told = False
        revoked = derive(node.key, node.node_id, 1, STOLEN, 1)
        self.nearby = Nearby(
            self._air,
            self._chance("nearby"),
            (node.identity.ble_address, node.node_id),
            GATEWAY,
            (STOLEN, revoked),
            lambda: self._revoked_told,
            self.tally,
        )
        self.guesser = Guesser(self._air, self._chance("guesser"), Identity.of(BLANK).ble_address, _CODE, self.tally)
        prefixes = {NODE: f"{PLACE}/{NODE}", GATEWAY: f"{OFFICE}/{GATEWAY}"}
        self.at_broker = AtBroker(
            self._lan, self._broker, self._chance("broker"), list(prefixes.values()), self._date, self.tally
        )
        self._keys = KeyStore(folder / "keys", self._now)
        self._enrolled = {name: self._keys.create(member.node_id, name, member.key) for name, member in members.items()}
        self._prefixes = prefixes
        self._opener = Opener(self._keys)
        self._broker.receive("+/+/+/+/+/answer", self._hear_answer)
        self._doing.append(self._air.start(self._near()))
        self._doing.append(self._lan.start(self._far()))

    def _blank(self) -> UnixBoard:
        files = {**firmware_files("unix", {}), "session.code": _CODE.encode()}
        blank = UnixBoard(Setup(files=files, lan=self._lan, air=self._air, name=BLANK))
        self._stack.callback(blank.stop)
        return blank

    def _chance(self, name: str) -> random.Random:
        return random.Random(f"{self._seed} {name}")

    def _now(self) -> float:
        return self._plan.start.timestamp() + self._lan.loop.time()

    def _moments(self, name: str, a_day: float, lasts_s: float = 0.0) -> list[float]:
        chance = self._chance(f"moments of {name}")
        count = max(1, round(a_day * self._whole / (24 * HOUR)))
        last = self._whole * QUIET - lasts_s
        return sorted(chance.uniform(self._whole / 30, last) for _ in range(count))

    def _lasts(self, seconds: float) -> float:
        return min(seconds, self._whole / 15)

    async def _at(self, name: str, moments: list[float], do: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        for moment in moments:
            await asyncio.sleep(max(moment - loop.time(), 0))
            try:
                await do()
            except Exception as error:  # of this tool: the other strangers go on, and it is told
                self.failed.append(f"{name}: {type(error).__name__}: {error}")

    async def _together(self, works: list[Coroutine[Any, Any, None]]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._whole * OVER), asyncio.TaskGroup() as group:
                for work in works:
                    group.create_task(work)

    # In the air.

    async def _near(self) -> None:
        await self.nearby.enter()
        await self.guesser.enter()
        works = [self._guess()]
        for name in self.nearby.to_node:
            works.append(self._at(name, self._moments(name, TO_NODE), partial(self.nearby.attack_node, name)))
        for name in self.nearby.to_gateway:
            works.append(self._at(name, self._moments(name, TO_GATEWAY), partial(self.nearby.pose, name)))
        lasts = self._lasts(BETWEEN_S)
        between = partial(self.nearby.stand_between, lasts, self._keep_apart)
        works.append(self._at("between", self._moments("between", BETWEEN, lasts), between))
        await self._together(works)

    def _keep_apart(self, there: bool) -> None:
        assert self._radio is not None
        if there:
            self._air.link.set_path(NODE, GATEWAY, RadioPath(in_range=False))
        else:
            self._radio._lay(NODE)

    async def _guess(self) -> None:
        """At a node that is blank, for a while, its power cut in the middle; then with the right code."""
        loop = asyncio.get_running_loop()
        await self._power_blank(False)
        lasts = self._lasts(GUESS_S)
        await asyncio.sleep(max(self._whole * 0.3 - loop.time(), 0))
        for _ in range(2):
            await self._power_blank(True)
            await self.guesser.guess(loop.time() + lasts)
            await self._power_blank(False)
        await self._power_blank(True)
        self.opened = await self.guesser.right()
        await self._power_blank(False)

    async def _power_blank(self, on: bool) -> None:
        self._lan.post(self.blank.power, on)  # whose thread may wait for the air
        await asyncio.sleep(2)

    # In the network.

    async def _far(self) -> None:
        there, lasts = self.at_broker, self._lasts(IN_PLACE_S)
        kinds: tuple[tuple[str, float, float, Callable[[], Awaitable[None]]], ...] = (
            ("garbage", AT_BROKER, 0.0, there.garbage),
            ("forged commands", AT_BROKER, 0.0, there.forged_commands),
            ("false broker", IN_PLACE, lasts, partial(there.replace_broker, lasts)),
            ("false time server", IN_PLACE, lasts, partial(there.replace_time, lasts)),
        )
        works = [self._at(name, self._moments(name, a_day, lasts), do) for name, a_day, lasts, do in kinds]
        await self._together([self._technician(), *works])

    async def _technician(self) -> None:
        """Revokes the stolen gateway, then has node and gateway identify themselves now and then."""
        commands = Commands(self._keys, self._now)
        await self._command(commands, NODE, "revoke", {"gateway": STOLEN, "generation": 2})
        self._revoked_told = True

        async def ask() -> None:
            for name in (NODE, GATEWAY):
                await self._command(commands, name, "identify", {})

        await self._at("technician", self._moments("technician", COMMANDS), ask)

    async def _command(self, commands: Commands, name: str, verb: str, args: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        identity = self._chance(f"command {loop.time()}").getrandbits(31)
        self.sent[identity] = name
        again = min(_AGAIN_S, self._whole / 30)
        while identity not in self.answered:
            sealed = commands.seal(self._enrolled[name], 1, verb, args, identity=identity, expires_s=24 * HOUR)
            self._broker.publish(Message(f"{self._prefixes[name]}/command", sealed, 1))
            until = loop.time() + again
            while identity not in self.answered and loop.time() < until:
                await asyncio.sleep(5)

    def _hear_answer(self, message: Message) -> None:
        try:
            record = self._opener.open("answer", message.payload).record
        except (SealError, ValueError):
            return
        if "error" not in record:
            self.answered.add(record["id"])

    def failures(self) -> list[str]:
        """What of all that was to be done here failed by itself."""
        found = list(self.failed)
        for one in self._doing:
            if not one.done() and self._lan.loop.time() > self._whole * OVER + 60:
                found.append("the strangers were not done at the end")
            elif one.done() and (error := one.exception()) is not None:
                found.append(f"the strangers ended: {error!r}")
        return found


class Here(Worker):
    """Runs the one island in this process."""

    def __init__(self, hours: float, folder: Path) -> None:
        self._about = hours, folder
        self.island: Besieged | None = None
        self._answer: Any = None

    def ask(self, verb: str, *about: Any) -> None:
        if verb == "build":
            ((plan,),) = about
            self.island = Besieged(plan, *self._about)
            self._answer = None
        elif verb == "advance":
            border, (mail,) = about
            self._answer = [self.there.advance(border, mail)]
        else:
            self._answer = self.there.tallies()

    @property
    def there(self) -> Besieged:
        assert self.island is not None
        return self.island

    def answer(self) -> Any:
        return self._answer

    def close(self) -> None:
        if self.island is not None:
            self.island.close()


class Week(World):
    def __init__(self, what: Plant, folder: Path, hours: float) -> None:
        super().__init__(what, folder, workers=1)
        self.here = Here(hours, folder)

    def _hire(self) -> Worker:
        return self.here

    def leave(self) -> None:
        """End here: the ingest takes in what waits for it."""
        self._ingest.settle(self.progress.time_s)
        self._count_records()


def _so_far(week: Week) -> str:
    with Store(week.path, write=False) as store:  # the ingest's own is closed while it is away
        unexplained = sum(account.unexplained for account in ledger(store)[0])
        free = {topic.rpartition("/")[2]: told[-1][1] for (topic, _), told in _told(store).items()}
    heap = ", ".join(f"{name} {free[name]:,} free" for name in sorted(free))
    progress, gained = week.progress, len(week.here.there.tally.gained)
    counted = f"{progress.records:,} records, {unexplained} unexplained, {progress.refused:,} refused"
    return f"{counted}; {heap}; {gained} gained"


def _told(store: Store) -> dict[tuple[str, int], list[tuple[float, int]]]:
    """By topic and boot: (seconds since the start of the boot, bytes of heap that are free) as records tell."""
    rows: dict[tuple[str, int], list[tuple[float, int]]] = {}
    for topic, boot, uptime_s, free in store.query(_HEAP):
        if free is not None:
            rows.setdefault((topic, boot), []).append((uptime_s, free))
    return rows


def heaps(store: Store) -> Iterator[tuple[str, int, float, int, int, int]]:
    """(station, boot, hours, free at first, free at last, the least), of each boot that lasted an eighth of the run.

    First and last are medians of a fifth of the boot, the first after a tenth in which the node learns.
    """
    rows = _told(store)
    longest = max((told[-1][0] for told in rows.values()), default=0)
    for (topic, boot), told in rows.items():
        length = told[-1][0]
        if length < longest / 8 or len(told) < 10:
            continue
        first = [free for at, free in told if 0.1 * length <= at <= 0.3 * length]
        last = [free for at, free in told if at >= 0.8 * length]
        if first and last:
            yield (
                topic.rpartition("/")[2],
                boot,
                length / HOUR,
                round(median(first)),
                round(median(last)),
                min(free for _, free in told),
            )


def report(week: Week) -> list[str]:
    """Print all that was found; what is wrong, each in a line."""
    island, outcome = week.here.there, judge(week.plant, week.store)
    tally = island.tally
    now = week.progress.time_s
    wrong = [*outcome.failed, *tally.gained, *island.failures()]
    print(f"\n{'by strangers':46}{'times':>8}{'reached':>9}")
    for name, count in sorted(tally.made.items()):
        met = tally.met.get(name)
        print(f"  {name:44}{count:8,}{'' if met is None else f'{met:9,}'}")
    print(f"  a node held a stranger's connection for {tally.held_s:.2f} s at most")
    guesser = island.guesser
    print(f"  codes guessed: {guesser.wrong} judged and wrong, {guesser.early} not judged, for it was not yet time")
    if not island.opened and now > week.plant.duration * QUIET:
        wrong.append("the right code opens no session after the wrong ones")
    print(f"\n{'befallen':46}{'times':>8}")
    for kind, count in sorted(Counter((one.kind, one.node) for one in outcome.injected if one.at <= now).items()):
        print(f"  {' '.join(kind).replace('_', ' '):44}{count:8,}")
    done = len(island.answered & set(island.sent))
    print(f"\ncommands of the technician: {len(island.sent)}, done {done}")
    if done < len(island.sent) and now > week.plant.duration * QUIET:
        wrong.append(f"{len(island.sent) - done} commands of the technician were not done")
    answers = {
        (topic, identity)
        for topic, identity in week.store.query(
            "SELECT topic, json_extract(body, '$.id') FROM dated WHERE class = 'answer'"
        )
    }
    if strange := {identity for _, identity in answers} - set(island.sent):
        wrong.append(f"{len(strange)} commands were answered that the technician did not send")
    print("\nledger")
    for account in outcome.accounts:
        print(
            f"  {account.topic.rpartition('/')[2]:8} boots {account.boots}: {account.received:,} records, "
            f"{account.duplicates} duplicates, {account.dropped} dropped, {account.lost_in_ram} lost in RAM, "
            f"{account.waiting} waiting, {account.unexplained} unexplained"
        )
        wrong += [f"{account.topic}: missing: {gap}" for gap in account.gaps[:20]]
        if account.dropped or account.lost_in_ram:
            wrong.append(f"{account.topic}: {account.dropped} records dropped, {account.lost_in_ram} lost in RAM")
    print(f"  refused: {', '.join(f'{reason} {count:,}' for reason, count in sorted(outcome.refused.items()))}")
    events = Counter((one.node, one.event, one.subject) for one in outcome.said)
    print("\nwhat they said of it")
    for (name, event, subject), count in sorted(events.items()):
        print(f"  {name:8} {event} {subject}: {count:,}")
        if event in ("hung", "low_memory", "records_dropped", "flash_failed", "config_invalid"):
            wrong.append(f"{name}: {event} {subject}, {count} times")
    print(f"\n{'heap':10}{'boot':>6}{'hours':>8}{'free at first':>15}{'at last':>10}{'change':>8}{'least':>10}")
    seen = set()
    for name, boot, length, first, last, least in heaps(week.store):
        seen.add(name)
        print(f"  {name:8}{boot:6}{length:8.1f}{first:15,}{last:10,}{last - first:+8,}{least:10,}")
        if last < first - SLACK and length >= SETTLED_H:
            wrong.append(f"{name}: its heap has {first - last:,} bytes less free at the end of boot {boot}")
    if seen != {NODE, GATEWAY} and now >= 24 * HOUR:
        wrong.append("too few records tell of the heap")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=168.0, metavar="N", help="hours of the plant's time (168)")
    parser.add_argument("--seed", type=int, default=1, help="of all that is drawn (1)")
    given = parser.parse_args()
    if not 0.2 <= given.hours <= 1000:
        parser.error("--hours: expected 0.2 to 1000")
    began = time.monotonic()
    told = 0.0
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="quaver-week-") as folder:
        try:
            with Week(plant(given.hours, given.seed), Path(folder), given.hours) as week:

                def say(progress: Progress) -> None:
                    nonlocal told
                    if progress.time_s - told >= min(given.hours / 14, 12) * HOUR:
                        told = progress.time_s
                        print(f"{clock(told)}: {_so_far(week)}, after {time.monotonic() - began:.0f} s", flush=True)
                    if ended:
                        raise KeyboardInterrupt

                with contextlib.suppress(KeyboardInterrupt):
                    week.run(say)
                if ended:
                    week.leave()
                wrong = report(week)
                passed = week.progress.time_s
        except QuaverError as error:
            print(f"week_under_attack: {error}", file=sys.stderr)
            return 2
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(one.ru_utime + one.ru_stime for one in used)
    print(f"\nseed {given.seed}: {passed / HOUR:.2f} h of {given.hours:g} in {processor:.0f} s of a processor")
    for line in wrong:
        print(f"wrong: {line}")
    print("nothing lost, nothing gained, no restart" if not wrong else f"{len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
