"""What lies between two stations of the air: loss, range, delay; and what a station's radio has done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Path:
    """The way between two stations, the same in both directions.

    loss: the probability from 0 to 1 that one packet on the air is not received. latency_s: what a packet that
    is received is late by, beyond its time on the air. in_range: out of range nothing is ever received, and a
    connection ends by its supervision timeout. rssi: in dBm, as a scanner reports it.
    """

    loss: float = 0.0
    latency_s: float = 0.0
    in_range: bool = True
    rssi: int = -60

    def __post_init__(self) -> None:
        if not 0.0 <= self.loss < 1.0:
            raise ValueError("loss is a probability below 1: use in_range=False for a path that carries nothing")
        if self.latency_s < 0:
            raise ValueError("latency_s can't be negative")


@dataclass
class Tally:
    """What one station's radio did since it was there; times in seconds of virtual time.

    radio_s: transmitter or receiver on; transmit_s: the transmitter alone. on_s: in use, from its host's first word
    until it lost its power, counted with its end. connected_s: in a connection, of which the radio is on for a part.
    sent, received: bytes of link-layer payload on connections, headers of L2CAP and ATT included.
    lost: packets of others that this station would have received but for the path's loss.
    """

    advertisements: int = 0
    connections: int = 0
    sent: int = 0
    received: int = 0
    lost: int = 0
    radio_s: float = 0.0
    connected_s: float = 0.0
    transmit_s: float = 0.0
    on_s: float = 0.0
