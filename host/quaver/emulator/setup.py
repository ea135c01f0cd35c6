"""The setup of an emulated board: its files, its sensors, its radio, its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from quaver.emulator.bus import Attached
from quaver.emulator.identity import Identity

if TYPE_CHECKING:
    from quaver.emulator.lan import Lan
    from quaver.emulator.radio import Air


@dataclass
class Setup:
    """What an emulated board is started with.

    files: its flash file system, path -> bytes ("main.py", "dsp/fft.mpy"); empty is a blank file system.
    image: rp2040 alone: the UF2 that its flash holds, as `quaver build` makes it, in place of official image and files.
    official: another official image than the board file's, of a board that has one.
    rig: the sensors on its buses.
    broker_port: the TCP port on the host's loopback that the board reaches as (`Board.host_address`, 1883).
    real_time: pace virtual time to the wall clock; otherwise as fast as it can.
    name: of the board: its station in the air, and what its identity is derived from. By default counted up.
    identity: its unique id and addresses, where the derived ones won't do.
    lan: the network that its Wi-Fi joins, in virtual time, unix alone; without one it is the host's. The board lives in
    the network's time then.
    air: the radio it has; without one its Bluetooth reaches nobody. The board lives in the air's time then.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    rig: tuple[Attached, ...] = ()
    image: Path | None = None
    official: Path | None = None
    broker_port: int | None = None
    real_time: bool = False
    name: str = ""
    identity: Identity | None = None
    air: Air | None = None
    lan: Lan | None = None
