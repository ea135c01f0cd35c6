"""What a rollout decides, over many made-up fleets: nodes that confirm, fail, go away, return, raise alarms."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quaver.rollout.engine import (
    ENDED,
    ENDS,
    LEFT_OUT,
    MISSED,
    PAUSED,
    PENALTY,
    RUNNING,
    TOLD,
    UNDER_WAY,
    UNHEALTHY,
    UPDATED,
    WAITING,
    WATCHED,
    Engine,
    Member,
    Rules,
)
from quaver.rollout.plan import asset_of, failures_borne, spread, waves
from quaver_wire.fields import EVENTS, LEVELS

SEQUENCE = 7
RULES = Rules(concurrency=5, step_s=100, watch_s=30, expires=100_000)


@dataclass
class Made:
    """A made-up node. way: what becomes of the release on it; plan: (when, what it says)."""

    id: bytes
    prefix: str
    way: Callable[["Made", int], list[tuple[float, str, dict[str, Any]]]]
    boot: int = 1
    seq: int = 0
    online: bool = True
    told: int = 0
    plan: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)


def confirms(_node: Made, command: int) -> list[tuple[float, str, dict[str, Any]]]:
    event = {"code": EVENTS.index("update_confirmed"), "value": float(SEQUENCE)}
    return [(1, "answer", {"id": command}), (5, "boot", {}), (8, "event", event)]


def rejects(_node: Made, command: int) -> list[tuple[float, str, dict[str, Any]]]:
    event = {"code": EVENTS.index("update_rejected"), "text": "restarted before it was confirmed"}
    return [(1, "answer", {"id": command}), (5, "boot", {}), (6, "boot", {}), (7, "event", event)]


def rejects_once(node: Made, command: int) -> list[tuple[float, str, dict[str, Any]]]:
    return rejects(node, command) if node.told == 1 else confirms(node, command)


def says_nothing(_node: Made, _command: int) -> list[tuple[float, str, dict[str, Any]]]:
    return []


def then(*more: tuple[float, str, dict[str, Any]]) -> Callable[[Made, int], list[tuple[float, str, dict[str, Any]]]]:
    """Confirms, and goes on with `more`."""
    return lambda node, command: [*confirms(node, command), *more]


class World:
    """Nodes around an engine; the time leaps a second at a step, and every rule is held at each."""

    def __init__(self, nodes: list[Made], rules: Rules = RULES) -> None:
        self.nodes = {node.id: node for node in nodes}
        ordered = spread([(node.id, node.prefix, node.online) for node in nodes], b"seed")
        planned = [
            Member(node, self.nodes[node].prefix, number) for number, wave in enumerate(waves(ordered)) for node in wave
        ]
        self.now = 1000.0
        self._numbers = iter(range(1, 1 << 30))
        self.engine = Engine(planned, rules, SEQUENCE, lambda: next(self._numbers))
        for node in nodes:
            self.status(node)

    def hear(self, node: Made, kind: str, values: dict[str, Any]) -> None:
        node.seq += 1
        self.engine.hear(
            *(node.id, kind, values, self.now), prefix=node.prefix, boot=node.boot, seq=node.seq, generation=1
        )

    def status(self, node: Made) -> None:
        self.hear(node, "status", {"state": int(node.online)})

    def step(self, seconds: float = 1) -> None:
        self.now += seconds
        for node in self.nodes.values():
            due = [entry for entry in node.plan if entry[0] <= self.now]
            node.plan = [entry for entry in node.plan if entry[0] > self.now]
            for _, kind, values in due:
                if kind == "boot":
                    node.boot += 1
                    node.seq = 0
                    self.status(node)
                elif kind == "online":
                    node.online = values["is"]
                    self.status(node)
                else:
                    self.hear(node, kind, values)
        for member in self.engine.tick(self.now):
            assert self.nodes[member.id].online
            assert all(self.over(other) for other in self.engine.members.values() if other.wave < member.wave)
            node = self.nodes[member.id]
            node.told += 1
            node.plan += [(self.now + after, *rest) for after, *rest in node.way(node, member.command)]
        self.hold()

    def over(self, member: Member) -> bool:
        """Whether a later wave may have begun."""
        return member.state in ENDS or (member.state == WAITING and not self.nodes[member.id].online)

    def hold(self) -> None:
        under_way = self.engine.under_way
        assert len(under_way) <= self.engine.rules.concurrency
        assert max(Counter(asset_of(member.prefix) for member in under_way).values(), default=1) == 1
        assert all(member.failures <= 2 for member in self.engine.members.values())

    def run(self, seconds: int = 20_000) -> None:
        until = self.now + seconds
        while self.engine.state == RUNNING and self.now < until:
            self.step(self.leap())
        while self.engine.under_way and self.now < until + 1000:
            self.step(self.leap())

    def leap(self) -> float:
        """Seconds to the next thing that a node says, at most ten."""
        due = [entry[0] for node in self.nodes.values() for entry in node.plan]
        return min([max(when - self.now, 1) for when in due] + [10])

    def states(self) -> Counter[str]:
        return Counter(member.state for member in self.engine.members.values())


def fleet(count: int, way: Callable[..., Any] = confirms, assets: int = 0) -> list[Made]:
    assets = assets or count
    return [Made(n.to_bytes(8, "big"), f"plant/hall/line{n % 3}/m{n % assets}/n{n}", way) for n in range(count)]


@given(st.integers(1, 2000))
def test_waves_have_every_node_once_and_begin_with_one_canary(count: int) -> None:
    nodes = [n.to_bytes(8, "big") for n in range(count)]
    found = waves(nodes)
    assert [node for wave in found for node in wave] == nodes
    assert len(found[0]) == 1 and all(found) and len(found) <= 4
    before_last = sum(map(len, found[:-1]))
    assert before_last <= max(1, -(-count // 4))
    assert 1 <= failures_borne(count) <= 3 and (failures_borne(count) == 1 or failures_borne(count) <= 0.02 * count + 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=60))
def test_who_is_online_comes_first_and_assets_take_turns(given_: list[tuple[int, bool]]) -> None:
    nodes = [(n.to_bytes(8, "big"), f"s/a/l/m{asset}/n{n}", up) for n, (asset, up) in enumerate(given_)]
    up = {node: (asset_of(prefix), is_up) for node, prefix, is_up in nodes}
    ordered = spread(nodes, b"x")
    assert sorted(ordered) == sorted(node for node, *_ in nodes)
    assert [up[node][1] for node in ordered] == sorted((u for *_, u in nodes), reverse=True)
    for state in (True, False):
        turns: Counter[str] = Counter()
        places = []
        for node in ordered:
            if up[node][1] == state:
                turns[up[node][0]] += 1
                places.append(turns[up[node][0]])
        assert places == sorted(places)


@settings(max_examples=settings().max_examples // 3)
@given(st.integers(1, 120), st.integers(1, 120), st.randoms(use_true_random=False))
def test_any_fleet_ends_or_pauses_and_no_rule_is_broken(count: int, assets: int, drawn: random.Random) -> None:
    ways = [confirms] * 30 + [rejects, rejects_once, says_nothing, then((20, "boot", {}))]
    nodes = fleet(count, assets=assets)
    for node in nodes:
        node.way = drawn.choice(ways)
        node.online = drawn.random() > 0.1
        if drawn.random() < 0.1:
            node.plan.append((1000 + drawn.randrange(2000), "online", {"is": drawn.random() > 0.3}))
    world = World(nodes, Rules(5, 100, 30, 9000))
    for _ in range(count + 5):
        world.run()
        if world.engine.state != PAUSED:
            break
        assert world.engine.why
        world.engine.resume()
    assert world.engine.state == ENDED
    for member in world.engine.members.values():
        assert member.state in ENDS
        assert member.state == UPDATED or member.reason


def test_all_good_nodes_have_it_at_the_end() -> None:
    world = World(fleet(100, assets=40))
    world.run()
    assert world.engine.state == ENDED and world.states() == {UPDATED: 100}


@pytest.mark.parametrize("way", [rejects, says_nothing, then((15, "boot", {}), (20, "boot", {}))])
def test_a_release_that_fails_touches_the_canary_alone(way: Callable[..., Any]) -> None:
    world = World(fleet(100, way))
    world.run()
    assert world.engine.state == PAUSED and "n" in world.engine.why
    assert sum(node.told for node in world.nodes.values()) == 1


def test_a_release_that_fails_behind_the_canary_touches_one_wave() -> None:
    nodes = fleet(100, rejects)
    world = World(nodes)
    canary = next(member.id for member in world.engine.members.values() if member.wave == 0)
    world.nodes[canary].way = confirms
    world.run()
    assert world.engine.state == PAUSED and world.engine.why.startswith("2 of 100 nodes failed")
    assert sum(node.told > 0 for node in nodes) <= 5
    told = {member.wave for member in world.engine.members.values() if world.nodes[member.id].told}
    assert told == {0, 1}


def test_another_node_is_the_canary_where_the_first_is_of_no_use() -> None:
    world = World(fleet(20, assets=20))
    first = next(member for member in world.engine.members.values() if member.wave == 0)
    world.nodes[first.id].way = rejects
    for _ in range(2):
        world.run()
        assert world.engine.state == PAUSED and world.engine.why.startswith("the canary failed")
        assert sum(node.told > 0 for node in world.nodes.values()) == 1
        world.engine.resume()
    assert first.state == PENALTY
    world.run(12)
    assert sum(node.told > 0 for node in world.nodes.values()) == 2  # the next canary, alone
    world.run()
    assert world.states() == {UPDATED: 19, PENALTY: 1}


def test_a_node_that_fails_twice_is_left_alone_and_one_that_fails_once_is_not() -> None:
    nodes = fleet(100)
    world = World(nodes)
    late = [member.id for member in world.engine.members.values() if member.wave == 3][:2]
    world.nodes[late[0]].way, world.nodes[late[1]].way = rejects, rejects_once
    world.run()
    assert world.engine.state == PAUSED  # two of a hundred
    world.engine.resume()
    world.run()
    assert world.engine.state == ENDED and world.states() == {UPDATED: 99, PENALTY: 1}
    assert [world.nodes[node].told for node in late] == [2, 2]
    assert world.engine.members[late[0]].reason == "restarted before it was confirmed"


def test_one_that_is_offline_gets_it_when_it_returns_or_is_told_missing() -> None:
    nodes = fleet(40)
    nodes[3].online = nodes[4].online = False
    nodes[3].plan = [(5000, "online", {"is": True})]
    world = World(nodes, Rules(5, 100, 30, 9000))
    world.run()
    assert world.engine.state == ENDED and world.states() == {UPDATED: 39, MISSED: 1}
    assert world.engine.members[nodes[4].id].reason.endswith("is offline")


def test_a_second_node_of_an_asset_waits_while_the_first_is_gone() -> None:
    nodes = fleet(2, assets=1)
    world = World(nodes)
    canary = next(world.nodes[m.id] for m in world.engine.members.values() if m.wave == 0)
    other = next(node for node in nodes if node is not canary)
    canary.way = lambda _node, command: [(1, "answer", {"id": command}), (3, "online", {"is": False})]
    world.run()
    assert world.engine.state == PAUSED and "is offline" in world.engine.why
    world.engine.resume()
    world.run(500)
    assert other.told == 0


EVENT = {"code": EVENTS.index("level"), "subject": "rms", "event_level": LEVELS.index("alarm")}


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ([(12, "event", EVENT)], "a new alarm: rms"),
        ([(12, "telemetry", {"level": 2})], "a new alarm: level"),
        ([(6, "event", EVENT)], "a new alarm: rms"),  # in its trial
        ([(12, "telemetry", {"heap_free": 20_000})], "20 kB of heap free, 80 before"),
        ([(12, "event", {"code": EVENTS.index("low_memory"), "value": 1.0})], "is short of memory"),
        ([(12, "event", {"code": EVENTS.index("hung"), "subject": "measure", "text": "x"})], "hung: measure x"),
        ([(12, "boot", {}), (20, "boot", {})], "restarted 2 times"),
        ([(12 + n, "event", {"code": EVENTS.index("task_restarted")}) for n in (1, 2)], "restarted 2 times"),
        ([(12, "online", {"is": False})], "is offline since it confirmed"),
    ],
)
def test_a_node_that_is_not_well_after_it_confirmed_pauses_it(more: list[Any], why: str) -> None:
    world = World(fleet(30))
    canary = next(world.nodes[m.id] for m in world.engine.members.values() if m.wave == 0)
    world.hear(canary, "telemetry", {"level": 0, "heap_free": 80_000})
    canary.way = then(*more)
    world.run()
    assert world.engine.state == PAUSED and why in world.engine.why
    assert world.states() == {UNHEALTHY: 1, WAITING: 29}


def test_an_alarm_of_before_and_one_restart_are_nobodys_fault() -> None:
    world = World(fleet(30))
    for node in world.nodes.values():
        world.hear(node, "event", EVENT)
        node.way = then((12, "telemetry", {"level": 2}), (14, "boot", {}))
    world.run()
    assert world.engine.state == ENDED and world.states() == {UPDATED: 30}


def test_what_comes_twice_counts_once_and_what_comes_late_counts() -> None:
    world = World(fleet(30))
    canary = next(world.nodes[m.id] for m in world.engine.members.values() if m.wave == 0)
    member = world.engine.members[canary.id]
    canary.way = rejects
    world.run(30)
    assert (member.state, member.failures) == (WAITING, 1)
    world.engine.resume()
    canary.way = says_nothing
    world.step()
    world.hear(canary, "answer", {"id": member.command})
    rejected = {"code": EVENTS.index("update_rejected"), "text": "again"}
    world.engine.hear(canary.id, "event", rejected, world.now, prefix=canary.prefix, boot=3, seq=2, generation=1)
    assert member.failures == 1  # the copy
    world.run()
    assert (member.state, member.failures) == (PENALTY, 2) and "took no step" in member.reason
    world.hear(canary, "event", {"code": EVENTS.index("update_confirmed"), "value": float(SEQUENCE)})
    assert member.state == WATCHED


def test_refusals_of_the_node() -> None:
    world = World(fleet(30))
    member = next(m for m in world.engine.members.values() if m.wave == 0)
    node = world.nodes[member.id]
    node.way = lambda _n, command: [(1, "answer", {"id": command, "error": "release refused: old"})]
    world.run(3)
    assert (member.state, member.reason) == (UPDATED, "had this release or a later one")
    gateway = next(m for m in world.engine.members.values() if m.state == WAITING)
    world.hear(world.nodes[gateway.id], "status", {"state": 1, "role": 1, "board": "pico_w"})
    assert gateway.state == WAITING
    world.hear(world.nodes[gateway.id], "status", {"state": 1, "role": 1, "board": "host"})
    assert gateway.state == LEFT_OUT


def test_a_node_that_has_no_date_yet_is_told_again_and_fails_when_it_gets_none() -> None:
    world = World(fleet(1))
    [member] = world.engine.members.values()
    node = world.nodes[member.id]
    late = [(1, "answer", {"id": 0, "error": "clock not set"})]

    def way(_node: Made, command: int) -> list[Any]:
        late[0][2]["id"] = command
        return late if node.told == 1 else confirms(node, command)

    node.way = way
    world.run(5)
    assert (member.state, member.failures) == (WAITING, 0) and "time_server" in member.reason
    world.run()
    assert (member.state, member.failures, node.told) == (UPDATED, 0, 2)
    world = World(fleet(1, lambda _node, command: [(1, "answer", {"id": command, "error": "clock not set"})]))
    world.run()
    [member] = world.engine.members.values()
    assert world.engine.state == PAUSED and (member.state, member.failures) == (WAITING, 1)


def test_the_second_signature_is_tried_where_the_first_is_of_another_key() -> None:
    world = World(fleet(1))
    world.engine._signatures = 2
    [member] = world.engine.members.values()
    node = world.nodes[member.id]

    def way(_node: Made, command: int) -> list[Any]:
        wrong = [(1, "answer", {"id": command, "error": "release refused: wrong_key"})]
        return confirms(node, command) if member.signature else wrong

    node.way = way
    world.run()
    assert (member.state, member.failures, node.told) == (UPDATED, 0, 2)


def test_nothing_is_told_while_paused_or_outside_a_window_and_who_was_told_is_judged() -> None:
    world = World(fleet(30, says_nothing))
    assert world.engine.tick(world.now, is_open=False) == []
    [member] = world.engine.tick(world.now)
    assert member.state == TOLD and member in world.engine.under_way
    world.engine.pause("by hand")
    assert world.engine.tick(world.now + 50) == []
    world.engine.deaf_until(world.now + 90)
    assert world.engine.tick(world.now + 150) == [] and member.state in UNDER_WAY
    world.engine.tick(world.now + 191)
    assert (member.state, member.failures, world.engine.why) == (WAITING, 1, "by hand")
