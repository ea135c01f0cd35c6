"""The one rule for the signals of a file: which are used, and which axis of a sensor each is.

A named channel is taken alone. Without one, all signals that can be acceleration are taken, up to three; with more,
a complete set of x, y and z named as acceleration. `quaver analyze` analyses each, and says which. An emulated sensor
gets x, y and z where the names say them; the node measures z. One signal alone lies at z. Else it has to be asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from quaver.recordings.contents import ChannelError, Contents, Signal
from quaver.recordings.units import bare_name, is_acceleration, is_magnitude, maybe_rotation

_MOST = 3
_AXIS = re.compile(
    r"^(?P<before>.*?)(?:(?:^|[^a-z])(?P<axis>[xyz])|(?<=a)(?P<bare>[xyz])|(?<=acc)(?P<joined>[xyz]))"
    r"(?:[ _-]*(?:axis|achse|dir\w*|acc\w*))?(?:[ _-]*(?:g|mg|m[_/ ]?s\^?2|ms2|mm[_/ ]?s2|lsb|raw))?$"
)
_ACCELERATION = re.compile(r"(?:^|[^a-z])(?:a|acc|accel|acceleration|accelerometer|beschl\w*|vib\w*|linacc)[ _-]*$")
_MEASURED = 2  # z, of x, y and z: what firmware/node/capture.py takes of a sensor's three axes
SENSOR_AXES = "xyz"
# PRONOSTIA's names: its vertical sensor lies in the direction of the load, as z does.
_PLACES = {"horizontal": "y", "vertical": "z"}


def _split(name: str) -> tuple[str, str]:
    """(what stands before the axis in a name, the axis or "")."""
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare_name(name)).lower().strip()
    if plain in _PLACES:
        return "", _PLACES[plain]
    match = _AXIS.match(plain)
    if match is None:
        return plain, ""
    return match["before"], match["axis"] or match["bare"] or match["joined"] or ""


def axis_of(name: str) -> str:
    """The axis that a signal's name says: "x", "y", "z", or "" for none."""
    return _split(name)[1]


def choose(path: Path, contents: Contents, channel: str | None) -> list[Signal]:
    """The signals that are taken. Raises ChannelError where it has to be asked."""
    signals = contents.signals
    if channel is not None:
        return [_named(path, contents, channel)]
    wanted = [signal for signal in signals if is_acceleration(signal.unit or contents.unit)]
    for signal in signals:
        if signal not in wanted:
            contents.not_signals[signal.label] = str(signal.unit)
    if not wanted:
        found = "; ".join(f"{name}: {what}" for name, what in contents.not_signals.items()) or "none"
        raise ChannelError(f"{path}: has no signal that is acceleration ({found}): choose one")
    magnitudes = [signal for signal in wanted if is_magnitude(signal.name)]
    unsaid = [signal for signal in wanted if not (signal.unit or contents.unit)]
    rotations = [signal for signal in unsaid if maybe_rotation(signal.name)]
    for out, what in ((magnitudes, "a magnitude, without a direction"), (rotations, "perhaps a rotation")):
        if out and any(signal not in out for signal in wanted):
            contents.not_signals.update((signal.label, what) for signal in out)
            wanted = [signal for signal in wanted if signal not in out]
    if len(wanted) == 1 and is_magnitude(wanted[0].name):
        raise ChannelError(
            f"{path}: {wanted[0].name!r} is a magnitude, without a direction, and no vibration: choose another "
            "signal, or that one by its name"
        )
    said = [signal for signal in wanted if signal.unit or contents.unit]
    if len(wanted) > _MOST or len(set(map(axis_of, map(_name, wanted))) - {""}) < len(
        [s for s in wanted if axis_of(s.name)]
    ):
        groups: dict[str, list[Signal]] = {}
        for signal in wanted:
            before, axis = _split(signal.name)
            if axis:
                groups.setdefault(before, []).append(signal)
        accelerations = [group for before, group in groups.items() if _ACCELERATION.search(before)]
        if (
            len(accelerations) == 1
            and len({axis_of(signal.name) for signal in accelerations[0]}) == len(accelerations[0]) <= _MOST
        ):
            for signal in wanted:
                if signal not in accelerations[0]:
                    contents.not_signals[signal.label] = "not named as acceleration"
            wanted = accelerations[0]
        elif 0 < len(said) <= _MOST and len(said) < len(wanted):
            for signal in wanted:
                if signal not in said:
                    contents.not_signals[signal.label] = "without a unit"
            wanted = said
        else:
            raise ChannelError(
                f"{path}: has {len(wanted)} columns of signals: choose one by name or number: {_list(wanted)}"
            )
    return wanted


def _name(signal: Signal) -> str:
    return signal.name


def _list(signals: Sequence[Signal]) -> str:
    """Names for a message; numbers where there are none."""
    return ", ".join(signal.name or str(signal.number) for signal in signals)


def _named(path: Path, contents: Contents, channel: str) -> Signal:
    ways = (
        lambda signal: signal.name == channel,
        lambda signal: signal.name.lower() == channel.lower(),
        lambda signal: bare_name(signal.name).lower() == channel.lower(),
        lambda signal: signal.name.rpartition("/")[2].rpartition(".")[2] == channel,
        lambda signal: channel.lower() in ("x", "y", "z") and axis_of(signal.name) == channel.lower(),
        lambda signal: channel.isdecimal() and signal.number == int(channel),
    )
    for way in ways:
        found = [signal for signal in contents.signals if way(signal)]
        if len(found) == 1:
            if not is_acceleration(found[0].unit):
                raise ChannelError(f"{path}: {channel!r} is {found[0].unit}, not acceleration: choose another")
            return found[0]
        if found:
            raise ChannelError(f"{path}: channel {channel!r} is not one signal: choose one of {_list(found)}")
    for name, what in contents.not_signals.items():
        if channel.lower() in (name.lower(), bare_name(name).lower()):
            raise ChannelError(f"{path}: {channel!r} is {what}, not a signal: it has {_list(contents.signals)}")
    raise ChannelError(f"{path}: has no channel {channel!r}: it has {_list(contents.signals)}")


def sensor_axes(name: str, axes: Sequence[str], count: int) -> list[int]:
    """Which of a sensor's axes (0 to 2) each of `count` signals lies at. Raises ChannelError where it has to be asked.

    name: the recording's. axes: its signals' names. The node measures z, so one of several has to be z.
    """
    if count == 1:
        return [_MEASURED]
    letters = [axis_of(each) for each in axes]
    listed = ", ".join(each or str(at) for at, each in enumerate(axes)) or f"0 to {count - 1}"
    if len(letters) != count or len(set(letters)) != count or "" in letters:
        raise ChannelError(
            f"{name}: has {count} signals without the names x, y and z, and a node measures z: choose one: {listed}"
        )
    if "z" not in letters:
        raise ChannelError(f"{name}: has no signal z, and a node measures z: choose one: {listed}")
    return [SENSOR_AXES.index(letter) for letter in letters]


def on_sensor(signals: np.ndarray, places: Sequence[int]) -> np.ndarray:
    """Signals, shape (n, axes), as a sensor's x, y and z, shape (n, 3)."""
    full = np.zeros((len(signals), 3), dtype=np.float32)
    full[:, list(places)] = signals
    return full
