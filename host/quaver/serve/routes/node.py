"""One node: its values over time, its spectra and waveforms, its events and its diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from quaver.errors import PageError
from quaver.query.door import EVER_MS, NodeConfig, NodeShown
from quaver.query.events import Diagnosis, Event
from quaver.query.series import Series
from quaver.query.signals import (
    ROWS_MOST,
    SpectrumRow,
    SpectrumShown,
    Waterfall,
    WaveformRow,
    WaveformShown,
    as_wav,
    waveform_shown,
)
from quaver.serve.endpoints import Call, Endpoint, Words, language_of

_NAME = r"^[a-z][a-z_0-9.]{0,63}$"


class Between(BaseModel):
    """since_ms, until_ms: since 1970; by default all there is."""

    model_config = ConfigDict(extra="forbid")
    since_ms: int = Field(0, ge=0, le=EVER_MS)
    until_ms: int = Field(EVER_MS, ge=0, le=EVER_MS)


class SeriesQuery(Between):
    quantity: str = Field(pattern=_NAME)
    points: int = Field(1000, ge=2, le=5000)


class Listing(Between):
    limit: int = Field(100, ge=1, le=1000)


class EventsQuery(Listing, Words):
    pass


class WaterfallQuery(Between):
    kind: Literal["spectrum", "envelope"] = "spectrum"
    rows: int = Field(300, ge=1, le=ROWS_MOST)


@dataclass(frozen=True)
class Events:
    events: list[Event]


@dataclass(frozen=True)
class Spectra:
    spectra: list[SpectrumRow]


@dataclass(frozen=True)
class Waveforms:
    waveforms: list[WaveformRow]


def node(call: Call) -> NodeShown:
    shown = call.state.door.node(call.path["node"])
    read = call.state.commands.config_read(shown.node) if call.state.commands is not None else None
    if read is None:
        return shown
    return replace(shown, config=NodeConfig(dict(read.answer), read.sent_ms, read.who), config_unknown=None)


def series(call: Call) -> Series:
    asked: SeriesQuery = call.query
    return call.state.door.series(call.path["node"], asked.quantity, asked.since_ms, asked.until_ms, asked.points)


def events(call: Call) -> Events:
    asked: EventsQuery = call.query
    found = call.state.door.events(call.path["node"], asked.since_ms, asked.until_ms, asked.limit, language_of(call))
    return Events(found)


def spectra(call: Call) -> Spectra:
    asked: Listing = call.query
    return Spectra(call.state.door.spectra(call.path["node"], asked.since_ms, asked.until_ms, asked.limit))


def spectrum(call: Call) -> SpectrumShown:
    boot, seq = call.path["boot"], call.path["seq"]
    if not (boot.isdecimal() and seq.isdecimal() and len(boot) < 16 and len(seq) < 16):
        raise PageError("boot and seq are whole numbers", 404)
    return call.state.door.spectrum(call.path["node"], int(boot), int(seq))


def spectrum_png(call: Call) -> Response:
    boot, seq = call.path["boot"], call.path["seq"]
    if not (boot.isdecimal() and seq.isdecimal() and len(boot) < 16 and len(seq) < 16):
        raise PageError("boot and seq are whole numbers", 404)
    return Response(call.state.door.spectrum_png(call.path["node"], int(boot), int(seq)), media_type="image/png")


def waterfall(call: Call) -> Waterfall:
    asked: WaterfallQuery = call.query
    return call.state.door.waterfall(call.path["node"], asked.kind, asked.since_ms, asked.until_ms, asked.rows)


def waveforms(call: Call) -> Waveforms:
    return Waveforms(call.state.door.waveforms(call.path["node"]))


def waveform(call: Call) -> WaveformShown:
    return waveform_shown(call.state.door.waveform(call.path["node"], call.path["id"]))


def waveform_wav(call: Call) -> Response:
    found = call.state.door.waveform(call.path["node"], call.path["id"])
    return Response(as_wav(found), media_type="audio/wav")


def diagnosis(call: Call) -> Diagnosis:
    return call.state.door.diagnosis(call.path["node"], language_of(call))


_NODE = "/nodes/{node}"
ENDPOINTS = (
    Endpoint("GET", _NODE, "read", "A node, its newest values and its limits.", node, answer=NodeShown),
    Endpoint("GET", f"{_NODE}/series", "read", "One quantity over time.", series, SeriesQuery, answer=Series),
    Endpoint("GET", f"{_NODE}/events", "read", "What the node told, the newest first.", events, EventsQuery,
             answer=Events),
    Endpoint("GET", f"{_NODE}/spectra", "read", "Its spectra, the newest first.", spectra, Listing, answer=Spectra),
    # Before the next one, whose name would take it.
    Endpoint(
        "GET", f"{_NODE}/spectra/{{boot}}/{{seq}}.png", "read", "One spectrum as a picture.", spectrum_png,
        media="image/png",
    ),
    Endpoint("GET", f"{_NODE}/spectra/{{boot}}/{{seq}}", "read", "One spectrum.", spectrum, answer=SpectrumShown),
    Endpoint(
        "GET", f"{_NODE}/waterfall", "read", "Its spectra one above the other.", waterfall, WaterfallQuery,
        answer=Waterfall,
    ),
    Endpoint("GET", f"{_NODE}/waveforms", "read", "Its waveforms in the store.", waveforms, answer=Waveforms),
    # Before the next one, whose name would take it.
    Endpoint(
        "GET", f"{_NODE}/waveforms/{{id}}.wav", "read", "A waveform to listen to.", waveform_wav, media="audio/wav"
    ),
    Endpoint("GET", f"{_NODE}/waveforms/{{id}}", "read", "A waveform's samples.", waveform, answer=WaveformShown),
    Endpoint("GET", f"{_NODE}/diagnosis", "read", "What it says, why, and what to do.", diagnosis, Words,
             answer=Diagnosis),
)  # fmt: skip
