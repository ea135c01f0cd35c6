"""The collecting task: listens for nodes and connects to those with records: alarms first, then who waits longest.

    listen --an alarm, or somebody and a moment has passed--> connect --> listen, while a connection is free
    each connection --over, or ended by its limits--> free

An advertisement proves nothing, and a peer proves a link key and no more: what is sealed is opened by nobody here. So
each connection is bounded. An address that wasted one is not tried for a while, longer each time. After a wasted
connection the next goes to an address that has served before, if there is one: invented addresses take every other
connection at most, and of several at once all but one. An alarm from another address than the node's gets no priority.
"""

import asyncio
from binascii import hexlify

from micropython import const

from quaver_wire.cose import START

_LISTEN_MS = const(2000)
_MOMENT_MS = const(300)  # to hear who else is there, so that turns are fair: longer than nodes pause by default
_FULL_MS = const(1000)
_HOLD_MS = const(1000)  # after a wasted connection; for an unknown address doubled each time, up to 64 times that
_HELD_MAX = const(16)
_WAITS = const(3)  # bits of the state, of quaver_wire.gatt
_ALARM = const(2)
_SECRET = const(4)
_WHY = (("answer", "silent"), ("refuses", "link_refused"), ("prove", "wrong_link_key"))
_CONNECTED = const(1)  # a place of build.hang


class Node:
    """What the gateway remembers of one; times in ms since this boot, None before the first."""

    def __init__(self):
        self.address = None  # that served last
        self.tried = None
        self.collected = None
        self.heard = None
        self.secret = False  # has said that it wants link keys: it is never served without


class Collector:
    """central: of links.ble_central; connections: how many it holds at once; node_ids: the allow-list.

    relay, commands, contents, links (the link keys): of this package. old_links: whether nodes are served that know no
    link keys: anybody near can be such a node, or such a node's gateway.
    clock: has ms() since boot and time_ms() since 1970. progress(name): tells the supervisor that the task lives.
    has_measured: whether it has listened to its end since the start, as a release on trial must have.
    counts: "visits", "failed" and "records" since the start; refused: {why: [how often since it was told, who last]}.
    """

    def __init__(
        self, central, connections, node_ids, relay, commands, contents, links, clock, progress, old_links=False
    ):
        self._central = central
        self._connections = connections
        self._relay = relay
        self._commands = commands
        self._contents = contents
        self._links = links
        self._old_links = old_links
        self._clock = clock
        self._progress = progress
        self.nodes = {node_id: Node() for node_id in node_ids}
        self.counts = {"visits": 0, "failed": 0, "records": 0}
        self.refused = {}
        self.has_measured = False
        self._held = {}  # address: (until, how often)
        self._wasted = False
        self._best = None
        self._began = 0
        self._connected = {}  # node id: whether its address had served before
        self._freed = asyncio.Event()
        self._errors = []  # of connections' tasks: those that are no LinkError

    async def run(self):
        try:
            await self._run()
        finally:
            self.has_measured = False

    async def _run(self):
        while True:
            self._progress("collect")
            if self._errors:
                raise self._errors.pop(0)  # which makes it an event
            if not self._relay.room():
                await asyncio.sleep_ms(_FULL_MS)  # the nodes keep what they have
                continue
            self._best = None
            self._began = self._clock.ms()
            await self._central.scan(_MOMENT_MS, self._heard)
            self.has_measured = True
            if self._best is None or self._best[0][0]:
                await self._central.scan(_LISTEN_MS, self._heard)
            if self._best:
                _, device, node_id = self._best
                await self._begin(device, node_id)
            while len(self._connected) >= self._connections:
                self._freed.clear()
                await self._freed.wait()

    def refuse(self, why, who):
        """Count what was refused, and say so the first time since it was last told."""
        if why not in self.refused:
            print("gateway: refused {}: {}".format(who, why))
            self.refused[why] = [0, who]
        told = self.refused[why]
        told[0] += 1
        told[1] = who

    def _heard(self, device, node_id, state, waiting, rssi):
        """Remember the best of those heard; True ends the listening."""
        now = self._clock.ms()
        node = self.nodes.get(node_id)
        if node is None:
            self.refuse("unknown_node", hexlify(node_id).decode())
            return False
        node.heard = now
        if node_id in self._connected or not self._speaks(node, node_id, state):
            return False
        address = bytes(device.addr)
        held = self._held.get(address)
        if (state & _WAITS or self._commands.waits(node_id)) and not (held and held[0] > now):
            known = address == node.address
            alarm = bool(state & _ALARM) and (known or node.tried is None)
            tried = -1 if node.tried is None else node.tried
            doubtful = not known and (self._wasted or self._last_free())
            rank = (doubtful, not alarm, tried, held[1] if held else 0)
            if self._best is None or rank < self._best[0]:
                self._best = (rank, device, node_id)
            if alarm and not doubtful:
                return True
        if self._best is None or self._best[0][0]:
            return False
        return now - self._began >= _MOMENT_MS

    def _speaks(self, node, node_id, state):
        """Whether there is a way to speak with this node: both have the link key, or neither needs one."""
        why = ""
        if state & _SECRET:
            node.secret = True
            if not self._links.has(node_id):
                why = "no_link_key"
        elif node.secret or not self._old_links:
            why = "old_link"
        if why:
            self.refuse(why, hexlify(node_id).decode())
        return not why

    async def _begin(self, device, node_id):
        """Connect, and leave the rest to a task of its own."""
        address = bytes(device.addr)
        node = self.nodes[node_id]
        self._progress("collect", _CONNECTED)
        node.tried = self._clock.ms()
        if node.secret and not self._ready(node_id):
            return
        self.counts["visits"] += 1
        try:
            connection = await self._central.connect(device)
        except OSError as error:  # a LinkError
            self._failed(address, node_id, error)
            return
        self._connected[node_id] = address == node.address
        asyncio.create_task(self._collect(connection, address, node_id))

    def _ready(self, node_id):
        """Whether there are random numbers to begin a connection with."""
        try:
            self._links.begin()
            return True
        except OSError as error:
            self.refuse("no_random", hexlify(node_id).decode())
            print("gateway: {}".format(error))
            return False

    async def _collect(self, connection, address, node_id):
        node = self.nodes[node_id]

        async def store(message_class, payload):
            if payload[:8] == START and payload[8:16] != node_id:
                raise ValueError("a record of another node")
            if not self._relay.put(node_id, message_class, payload):
                self._contents.clear()  # a record needs the room
                return False
            self.counts["records"] += 1
            self._progress("collect", _CONNECTED)
            return True

        async def content(digest, number):
            self._progress("collect", _CONNECTED)
            return await self._contents.chunk(node_id, digest, number)

        try:
            link = self._links.of(node_id) if node.secret else None
            commands = self._commands.of(node_id)
            taken = await self._central.collect(connection, link, self._unix_ms, commands, store, content)
            self._wasted = False
            self._held.pop(address, None)
            node.address = address
            node.collected = self._clock.ms()
            print("gateway: {} gave {}".format(hexlify(node_id).decode(), taken))
        except OSError as error:  # a LinkError
            self._failed(address, node_id, error)
        except Exception as error:
            self._errors.append(error)
        finally:
            self._connected.pop(node_id)
            self._freed.set()

    def _failed(self, address, node_id, error):
        name = hexlify(node_id).decode()
        self.counts["failed"] += 1
        print("gateway: {}: {}".format(name, error))
        if self._relay.room():
            self._wasted = True
            self._hold(address, address == self.nodes[node_id].address)
            reason = str(error)
            if "refuses" in reason and not self._links.refused(node_id):
                return  # another key is tried
            if "connection" not in reason:  # which the air takes from the best of nodes
                self.refuse(next((why for words, why in _WHY if words in reason), "protocol"), name)

    def _last_free(self):
        """Whether all connections but one are with addresses that have not served before."""
        strangers = sum(not known for known in self._connected.values())
        return 0 < strangers == self._connections - 1

    def _hold(self, address, known):
        """Leave an address alone for a while; one that has served before for no more than a moment."""
        times = self._held.pop(address, (0, 0))[1]
        if len(self._held) >= _HELD_MAX:
            self._held.pop(min(self._held, key=lambda a: self._held[a][0]))
        pause = _HOLD_MS if known else _HOLD_MS << min(times, 6)
        self._held[address] = (self._clock.ms() + pause, times + 1)

    def _unix_ms(self):
        return self._clock.time_ms() or 0
