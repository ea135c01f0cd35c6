"""Runs on MicroPython's unix port: a node's writes on flash, and after a cut at each of them what a node finds.

One run of the node's work is recorded, operation by operation, with what was promised when: a record that is on flash
from operation n on, one that has left for good, a configuration that is written. The contents of flash at each cut,
clean or torn, are then those operations replayed so far. On each a node starts anew, and what it finds is held
against the promises. Now and then that start is itself recorded, and cut at each of its own operations.
"""

import json

import vfs
from nor_flash import NorFlash, change, tear

from build import config
from dsp.baseline import Baseline
from dsp.diagnosis import Diagnosis
from node import journal, outbox, store
from node.condition import Condition

_ENOSPC = 28  # of littlefs; MicroPython's errno does not name it
_NEVER = 1 << 30
_MOUNT = "/node"


class Fact:
    """A record and the operations: it was put at, was on flash by, was taken out from and until."""

    def __init__(self, message_class, boot, seq, payload, put):
        self.message_class, self.boot, self.seq, self.payload, self.put = message_class, boot, seq, payload, put
        self.safe = self.leaving = self.left = _NEVER

    def at(self, now):
        """As it was known when operation `now` was cut."""
        fact = Fact(self.message_class, self.boot, self.seq, self.payload, self.put)
        fact.safe = self.safe if self.safe <= now else _NEVER
        fact.leaving = self.leaving if self.leaving <= now else _NEVER
        fact.left = self.left if self.left <= now else _NEVER
        return fact


class Promises:
    """What a node was told about its flash. writes: {path: [(began, ended, content)]}; boots: [(began, ended, n)]."""

    def __init__(self):
        self.facts = {}
        self.writes = {"config": [], "condition": []}
        self.boots = []

    def at(self, now):
        past = Promises()
        past.facts = {key: fact.at(now) for key, fact in self.facts.items() if fact.put <= now}
        for path, writes in self.writes.items():
            past.writes[path] = [(a, b if b <= now else _NEVER, what) for a, b, what in writes if a <= now]
        past.boots = [(a, b if b <= now else _NEVER, n) for a, b, n in self.boots if a <= now]
        return past


class _Measured:
    crest, kurtosis, stretch, shaft_confidence, away = 4.0, 3.0, 1, 0.9, 0
    rms_g, envelope_g, velocity_mm_s = 0.3, 0.1, 1.0
    bands = [0.1] * 8


class Node:
    """A node's writes to the flash under _MOUNT, from its start on; promises: taken down as they are given."""

    def __init__(self, flash, began, promises, settings):
        self._flash = flash
        self._began = began
        self.promises = promises
        self.given_up = 0  # runs of records that the journal had no room for
        before = self.now()
        self.boot = store.next_boot(_MOUNT + "/boot")
        promises.boots.append((before, self.now(), self.boot))
        self.seq = 0
        self.outbox = outbox.Outbox(self.boot, _MOUNT + "/journal", **settings)
        self.outbox.report = self.event
        self.diagnosis = Diagnosis(Baseline(5))
        self.condition = Condition(self.diagnosis, _MOUNT + "/condition.json")
        self.problem = self.condition.restore()
        self.event("boot", value=self.outbox.lost_from)

    def now(self):
        return self._began + self._flash.operations

    def put(self, message_class, payload):
        seq = self.seq
        self.seq += 1
        fact = self.promises.facts[(self.boot, seq)] = Fact(message_class, self.boot, seq, payload, self.now())
        self.outbox.put(message_class, seq, payload)
        if message_class == "event":
            fact.safe = self.now()
        self.settle()

    def event(self, name, subject="", value=None, drops=None):
        if drops:
            self.given_up += len(drops) // 3
        self.put("event", json.dumps([name, subject, value, drops]).encode())

    def settle(self):
        """All telemetry that is not in RAM alone is on flash now."""
        log = self.outbox._telemetry
        alone = [entry[1:3] for entry in log.ram[log.staged :]]
        for key, fact in self.promises.facts.items():
            if fact.safe == _NEVER and key[0] == self.boot and key not in alone:
                fact.safe = self.now()

    def send(self, most=1000):
        """Take out up to `most` entries as if each was acknowledged; returns them."""
        sent = []
        while len(sent) < most:
            for name, values in self.outbox.losses():
                self.event(name, **values)
            entry = self.outbox.first()
            if entry is None:
                break
            fact = self.promises.facts.get(entry[1:3])
            if fact:
                fact.leaving = self.now()
            self.outbox.done(entry)
            if fact:
                fact.left = self.now()
            sent.append(entry)
        return sent

    def link(self, up):
        self.outbox.link(up)
        self.settle()

    def configure(self, number):
        before = self.now()
        store.replace(_MOUNT + "/config.json", json.dumps({"node": "n%d" % number, "interval_s": number}).encode())
        self.promises.writes["config"].append((before, self.now(), float(number)))

    def measure(self):
        before = self.now()
        self.diagnosis.run(_Measured(), None, 1800)
        hours = self.diagnosis.running_s
        try:
            saved = self.condition.save()
        except OSError as error:
            if error.errno != _ENOSPC:
                raise
            saved = False  # as node.vibration: the next measurement tries again
        if saved:
            self.promises.writes["condition"].append((before, self.now(), hours))


def mount(flash):
    vfs.mount(vfs.VfsLfs2(flash, readsize=flash.page, progsize=flash.page, mtime=False), _MOUNT)


def work(node, cycle, drain_every):
    """One cycle: measurements, now and then an event, a link that comes and goes, something that is acknowledged."""
    if cycle % 8 == 3:
        node.link(True)
    for _ in range(3 + cycle % 4):
        node.put("telemetry", bytes([node.seq & 255]) * (60 + 37 * (node.seq % 5)))
    if cycle % 3 == 0:
        node.event("level", "rms", cycle * 1.5)
    if cycle % 5 == 1:
        node.configure(cycle + 1)
    if cycle % 4 == 2:
        node.measure()
    if cycle % drain_every < 8:
        node.send((2, 0, 4, 3)[cycle % 4])
    if cycle % drain_every == 6:
        node.send()
    if cycle % 8 == 7:
        node.link(False)


def record(image, page, began, promises, cycles, drain_every, settings):
    """Run the node for `cycles` from `image`, which it changes; returns every operation, and the runs given up."""
    flash = NorFlash(image)
    flash.page = page
    flash.journal = []
    mount(flash)
    node = None
    given_up = 0
    for cycle in range(cycles):
        if node is None or cycle % 10 == 9:
            given_up += node.given_up if node else 0
            node = Node(flash, began, promises, settings)
        work(node, cycle, drain_every)
    vfs.umount(_MOUNT)
    return flash.journal, given_up + node.given_up


def _current(writes, default):
    """What a file may hold: the last whole write, and the one that was under way."""
    allowed = [default]
    for _, ended, what in writes:
        if ended != _NEVER:
            allowed = [what]
        else:
            allowed.append(what)
    return allowed


def _told(boots, payloads):
    """What events say is gone: runs of given-up records [(boot, first, last)], and ranges that lay in RAM when the
    power went [((boot, seq), (boot, 0))]. boots: of each event."""
    runs = []
    ranges = []
    for boot, payload in zip(boots, payloads):
        name, _, value, drops = json.loads(payload)
        if name == "records_dropped":
            runs += [tuple(drops[i : i + 3]) for i in range(0, len(drops), 3)]
        elif name == "boot" and value:
            ranges.append((tuple(value[:2]), (boot, 0)))
    return runs, ranges


def violations(image, page, promises, settings):
    """Start a node on `image` and hold what it finds against `promises`; returns what is wrong, in words."""
    wrong = []
    flash = NorFlash(image)
    flash.page = page
    try:
        mount(flash)
    except OSError as error:
        return ["does not mount: {}".format(error)]
    try:
        node = Node(flash, 0, Promises(), settings)
        used = [n for _, ended, n in promises.boots if ended != _NEVER]
        if used and node.boot <= max(used):
            wrong.append("boot {} after {}".format(node.boot, max(used)))
        given, problems = config.load(_MOUNT + "/config.json")
        if problems or given["interval_s"] not in _current(promises.writes["config"], 60.0):
            wrong.append("configuration {} {}".format(given["interval_s"], problems))
        hours = node.diagnosis.running_s
        allowed = _current(promises.writes["condition"], 0.0)
        if node.problem or min(abs(hours - one) for one in allowed) > 1:
            wrong.append("condition {} {} of {}".format(node.problem, hours, allowed))
        if node.outbox.failed or len(node.outbox) > len(promises.facts) + 1:
            wrong.append("{} failures, {} entries".format(node.outbox.failed, len(node.outbox)))
        wrong += _records(node, promises)
    finally:
        vfs.umount(_MOUNT)
    return wrong


def _records(node, promises):
    wrong = []
    node.link(True)
    everything = node.send()
    sent = [entry for entry in everything if entry.boot != node.boot]
    found = {entry[1:3]: entry for entry in sent}
    if len(found) != len(sent):
        wrong.append("an entry came twice")
    for message_class in ("event", "telemetry"):
        order = [entry[1:3] for entry in sent if entry.message_class == message_class]
        if order != sorted(order):
            wrong.append("{} out of order".format(message_class))
    events = [entry for entry in everything if entry.message_class == "event"]
    events += [fact for fact in promises.facts.values() if fact.message_class == "event" and fact.leaving != _NEVER]
    payloads = [event.payload for event in events]
    if any(json.loads(payload)[0] == "flash_failed" for payload in payloads):
        wrong.append("a cut was taken for damage")
    runs, ranges = _told([event.boot for event in events], payloads)
    for key, entry in found.items():
        fact = promises.facts.get(key)
        if fact is None or fact.payload != entry.payload or fact.message_class != entry.message_class:
            wrong.append("{} is altered".format(key))
        elif fact.left != _NEVER:
            wrong.append("{} came back".format(key))
    for key, fact in promises.facts.items():
        if key in found or fact.leaving != _NEVER:
            continue
        if any(boot == key[0] and first <= key[1] <= last for boot, first, last in runs):
            continue
        if fact.safe != _NEVER:
            wrong.append("{} {} is missing".format(fact.message_class, key))
        elif not any(low <= key < high for low, high in ranges):
            wrong.append("{} was lost and nothing tells".format(key))
    return wrong


class Trial:
    """Every cut of one workload. page: what littlefs programs at once, in bytes (256 on the Pico W, 32 on an ESP32).

    segment: bytes at which the journal's segments are full, None for its own choice; settings: of the Outbox.
    drain_every: cycles from one time that everything is acknowledged to the next.
    inner_every: after every so many cuts the start that follows is itself cut at each of its operations.
    """

    def __init__(self, cycles, blocks, page, inner_every, segment, drain_every, settings):
        if segment:
            journal.SEGMENT = outbox.SEGMENT = segment
        self._page = page
        self._drain = drain_every
        self._settings = settings
        self._inner_every = inner_every
        # Made once: what a hundred such buffers would leave of the heap has no room for the next.
        self._image, self._second, self._third, self._scratch = [bytearray(4096 * blocks) for _ in range(4)]
        self.report = {"operations": 0, "cuts": 0, "inner": 0, "violations": []}
        self._cycles = cycles

    def run(self):
        """Returns {"records", "operations": of the work, "cuts": tried, "inner": those in starts, "given_up": runs of
        records that there was no room for, "violations": [text]}."""
        image = self._image
        image[:] = b"\xff" * len(image)
        vfs.VfsLfs2.mkfs(NorFlash(image), readsize=self._page, progsize=self._page)
        self._second[:] = image
        promises = Promises()
        operations, given_up = record(self._second, self._page, 0, promises, self._cycles, self._drain, self._settings)
        report = self.report
        report["given_up"] = given_up
        report["records"] = len(promises.facts)
        report["operations"] = len(operations)
        for now in range(len(operations) + 1):
            known = promises.at(now)
            for torn in (False, True) if now < len(operations) else (False,):
                self._look(image, operations[now] if torn else None, known, "cut", now)
                report["cuts"] += 1
                if self._inner_every and report["cuts"] % self._inner_every == 0:
                    self._cut_the_start(operations[now] if torn else None, now, known)
            if now < len(operations):
                change(image, *operations[now])
        return report

    def _look(self, image, torn, known, what, now):
        self._scratch[:] = image
        if torn:
            tear(self._scratch, *torn)
        for text in violations(self._scratch, self._page, known, self._settings):
            kind = "torn" if torn else "clean"
            self.report["violations"].append("{} at operation {}, {}: {}".format(what, now, kind, text))

    def _cut_the_start(self, torn, now, known):
        before = self._third
        before[:] = self._image
        if torn:
            tear(before, *torn)
        self._second[:] = before
        promises = known.at(now)
        operations, _ = record(self._second, self._page, now, promises, 2, self._drain, self._settings)
        for inner in range(len(operations)):
            for tearing in (None, operations[inner]):
                self.report["inner"] += 1
                what = "start after the cut at {}".format(now)
                self._look(before, tearing, promises.at(now + inner), what, inner)
            change(before, *operations[inner])


def main(argument):
    """argument: the Trial's, by name; prints its report."""
    print(json.dumps(Trial(**argument).run()))
