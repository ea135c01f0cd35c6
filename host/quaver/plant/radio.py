"""The Bluetooth of an island: its gateways, its nodes, the air between them, and what lies in their way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from quaver.emulator.clock import Clock
from quaver.emulator.radio.air import Air
from quaver.emulator.radio.path import Path
from quaver.plant.spec import Node

# Of a node on Bluetooth: how it advertises, so that a gateway of a few nodes visits each several times a minute.
LINK: dict[str, Any] = {"link": "ble", "ble": {"interval_ms": 200, "window_s": 10, "rest_s": 20}}


class IslandAir:
    """nodes: each with its gateways and the usual loss of its packets. The rest is for the network's thread."""

    def __init__(self, clock: Clock, seed: int, gateways: Sequence[str], nodes: Sequence[Node]) -> None:
        self.air = Air(clock, seed=seed)
        self._nodes = {node.name: node for node in nodes}
        self._gateways = tuple(gateways)
        self._losses = {node.name: node.loss for node in nodes}
        self._away: set[str] = set()
        for name in self._nodes:
            self._lay(name)

    def has(self, name: str) -> bool:
        return name in self._nodes

    def lossy(self, name: str, loss: float | None) -> None:
        """None: the usual."""
        self._losses[name] = self._nodes[name].loss if loss is None else loss
        self._lay(name)

    def range(self, name: str, heard: bool) -> None:
        (self._away.discard if heard else self._away.add)(name)
        self._lay(name)

    def _lay(self, name: str) -> None:
        path = Path(loss=self._losses[name], in_range=name not in self._away)
        for gateway in self._nodes[name].gateway:
            self.air.post(self.air.link.set_path, gateway, name, path)

    def tallies(self) -> dict[str, dict[str, float]]:
        """What each station's radio has done so far; for any thread but the air's."""
        return {name: asdict(self.air.tally(name)) for name in (*self._gateways, *self._nodes)}

    def close(self) -> None:
        self.air.close()
