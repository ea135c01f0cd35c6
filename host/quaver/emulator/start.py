"""What the host tells the emulator's process to begin with."""

from __future__ import annotations

from dataclasses import dataclass

from quaver.emulator.identity import Identity


@dataclass
class Start:
    """rig: the pickled tuple of `Attached`, read once sys.path is set. The rest is as in `Machine`.

    bluetooth: whether somebody hears its HCI packets. turns: whether it asks for each turn of virtual time.
    lan: whether its Wi-Fi is in a network of virtual time.
    """

    sys_path: list[str]
    image: str
    filesystem: bytes
    filesystem_offset: int
    rig: bytes
    broker_port: int | None
    real_time: bool
    identity: Identity
    bluetooth: bool
    turns: bool
    lan: bool = False
