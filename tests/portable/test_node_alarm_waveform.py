"""The waveform of an alarm on flash: which one stays, for how long, and what a cut or damage leaves of it."""

from binascii import crc32
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.alarm_waveform import AlarmWaveform
from quaver.bench import power_cuts
from tests.programs import program

HOUR_MS = 3_600_000
GUEST = Path(power_cuts.__file__).with_name("guest")


class Clock:
    def __init__(self) -> None:
        self.now = 5_000

    def moment(self) -> tuple[int, int, int | None]:
        return 7, self.now, None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kept(tmp_path: Path, clock: Clock) -> AlarmWaveform:
    return AlarmWaveform(clock.moment, str(tmp_path / "alarm.wave"))


def crc(kept: AlarmWaveform) -> int:
    return int(kept.about()["crc"])


def test_the_first_moment_of_an_hour_stays_unless_it_was_fetched(kept: AlarmWaveform, clock: Clock) -> None:
    one, two, three = (bytes([n]) * 8192 for n in (1, 2, 3))
    assert kept.save(one, 26667.0, 0.000488)
    clock.now += HOUR_MS - 1
    assert not kept.save(two, 26667.0, 0.000488)
    assert (crc(kept), kept.about()["uptime_ms"]) == (crc32(one), 5_000)
    clock.now += 1
    assert kept.save(two, 26667.0, 0.000488)
    assert crc(kept) == crc32(two)
    kept.drop(crc32(two))
    assert kept.save(three, 26667.0, 0.000488)
    assert (crc(kept), kept.about()["uptime_ms"]) == (crc32(three), 5_000 + HOUR_MS)
    assert "time_ms" not in kept.about()


def test_after_a_restart_it_is_there_and_the_next_alarm_replaces_it(
    kept: AlarmWaveform, clock: Clock, tmp_path: Path
) -> None:
    kept.save(b"\x01" * 100, 3200.0, 0.004)
    again = AlarmWaveform(clock.moment, str(tmp_path / "alarm.wave"))
    assert again.part(crc(kept), 90, 480) == b"\x01" * 10
    assert again.save(b"\x02" * 100, 3200.0, 0.004)
    with pytest.raises(ValueError, match="no waveform"):
        again.part(crc32(b"\x01" * 100), 0, 480)


@pytest.mark.parametrize("damage", [b"", b"QvW1", b"\0" * 44, b"QvW1" + b"\xff" * 60])
def test_a_file_that_is_none_is_no_waveform(kept: AlarmWaveform, tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "alarm.wave").write_bytes(damage)
    for ask in (kept.about, lambda: kept.part(0, 0, 480), lambda: kept.drop(0)):
        with pytest.raises(ValueError, match="no waveform of an alarm is kept"):
            ask()
    assert kept.save(b"\x01" * 100, 3200.0, 0.004)
    assert kept.about()["size"] == 100


def test_a_flash_that_takes_no_file_leaves_the_old_one(kept: AlarmWaveform, clock: Clock, tmp_path: Path) -> None:
    kept.save(b"\x01" * 100, 3200.0, 0.004)
    clock.now += HOUR_MS
    (tmp_path / "alarm.wave.new").mkdir()
    for _ in range(2):
        with pytest.raises(OSError):
            kept.save(b"\x02" * 100, 3200.0, 0.004)
    assert crc(kept) == crc32(b"\x01" * 100)
    (tmp_path / "alarm.wave.new").rmdir()
    assert kept.save(b"\x02" * 100, 3200.0, 0.004)


@pytest.mark.parametrize("page", [256, 32])
def test_after_a_cut_it_is_the_old_one_or_the_new_one(micropython: Callable[..., Any], page: int) -> None:
    """At every operation of a save on littlefs, clean and torn; pages of the Pico W and of an ESP32."""
    found, erases = micropython(program(__file__, "cuts"), argument=[str(GUEST), page], heap="8m")
    assert set(found) == {"old", "new"}
    assert found == sorted(found, key="oldnew".index)  # once the new one is there it stays
    assert found.count("old") > 24
    assert erases <= 6  # three blocks of samples, and the folder's
