"""Random numbers: the generator by NIST's vectors, the health tests by their definition, dead sources, power cuts."""

import importlib
import itertools
import json
import math
import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from node import entropy, power
from node.drbg import Drbg
from node.entropy import Random, Source
from tests.programs import program
from tools.noise_entropy import ASSUMED, estimate

# NIST, CAVP, drbgtestvectors.zip, drbgvectors_pr_false/HMAC_DRBG.rsp (CAVS 14.3), all of [SHA-256]; two calls of
# generate, of which the second one's bytes are given.
VECTORS = json.loads((Path(__file__).parent / "data" / "hmac_drbg.json").read_text())
CHUNK = 64


def test_the_generator_gives_what_nist_s_vectors_say() -> None:
    assert len(VECTORS) == 60
    for vector in VECTORS:
        given = {name: bytes.fromhex(value) for name, value in vector.items()}
        drbg = Drbg(given["entropy"] + given["nonce"] + given["personalisation"])
        drbg.reseed(given["entropy_reseed"] + given["additional_reseed"])
        drbg.generate(128, given["additional_1"])
        assert drbg.generate(128, given["additional_2"]) == given["returned"]


def test_the_generator_on_micropython_gives_the_same(micropython: Callable[..., Any]) -> None:
    some = VECTORS[::15] + VECTORS[14::15]
    found = micropython(program(__file__, "vectors"), argument=some)
    assert found == [vector["returned"] for vector in some]


def test_the_cutoffs_are_those_of_half_a_bit_at_one_in_2_to_the_30() -> None:
    """SP 800-90B, 4.4.1 and 4.4.2: C = 1 + ceil(30 / H), and 1 + the 1 - 2**-30 quantile of a binomial of 512."""
    assert 1 + math.ceil(30 / 0.5) == entropy._REPEATS
    p = 2**-0.5

    def above(count: int) -> float:
        return math.fsum(math.comb(512, k) * p**k * (1 - p) ** (512 - k) for k in range(count + 1, 513))

    quantile = next(k for k in range(513) if above(k) <= 2**-30)
    assert 1 + quantile == entropy._MOST


@pytest.mark.parametrize(
    ("bluetooth", "on"),
    [(None, ["wifi"]), (SimpleNamespace(active=lambda: False), ["wifi"]), (SimpleNamespace(active=lambda: True), [])],
    ids=["an ESP32-S2", "off", "on"],
)
def test_an_esp32_has_a_radio_on_for_its_noise(bluetooth: Any, on: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    active: list[str] = []
    wlan = SimpleNamespace(active=lambda _: active.append("wifi"))
    monkeypatch.setattr(sys, "platform", "esp32")
    monkeypatch.setitem(sys.modules, "machine", ModuleType("machine"))
    monkeypatch.setitem(sys.modules, "bluetooth", bluetooth and SimpleNamespace(BLE=lambda: bluetooth))
    monkeypatch.setitem(sys.modules, "network", SimpleNamespace(WLAN=lambda: wlan))
    noise = importlib.import_module("hal.noise")
    [(_, fill)] = noise.sources()
    samples = bytearray(64)
    fill(samples)
    assert active == on and samples != bytearray(64)


def test_the_estimate_for_a_real_board_is_near_what_a_source_has() -> None:
    """As tools/noise_entropy.py makes it: of sources of known entropy, one of which hides that it repeats itself."""
    chance = random.Random(3)
    eight = chance.randbytes(20_000)
    half = bytes(0 if chance.random() < 2**-0.5 else chance.randrange(1, 256) for _ in range(20_000))
    sticky = bytearray([0])
    while len(sticky) < 20_000:
        sticky.append(sticky[-1] if chance.random() < 0.9 else chance.randrange(256))
    assert estimate(eight) > 6
    assert estimate(half) == pytest.approx(0.5, abs=0.03) and ASSUMED == 0.5
    assert estimate(bytes(sticky)) == pytest.approx(-math.log2(0.9), abs=0.08)
    assert estimate(bytes(2000)) == 0


def by_definition(samples: bytes) -> int | None:
    """After how many samples a source fails: the two tests as SP 800-90B writes them down, a sample at a time."""
    last, run = None, 0
    first, equal = 0, 0
    for number, sample in enumerate(samples):
        run = run + 1 if sample == last else 1
        last = sample
        if number % 512 == 0:
            first, equal = sample, 0
        equal += sample == first
        if run >= 61 or equal >= 422:
            return number + 1
    return None


def failing(samples: bytes) -> int | None:
    chunks = iter([samples[at : at + CHUNK] for at in range(0, len(samples), CHUNK)])

    def fill(buffer: bytearray) -> None:
        buffer[:] = next(chunks)

    source = Source("", fill)
    for number in range(1, 1 + len(samples) // CHUNK):
        source.take()
        if source.tested[0]:
            return CHUNK * number
    return None


def test_a_source_fails_in_the_chunk_in_which_the_tests_of_sp_800_90b_say_so() -> None:
    chance = random.Random(90)
    seen = set()
    for stick in (0.0, 0.6, 0.9, 0.93, 0.95, 0.99, 1.0):  # the chance that a sample is the one before
        for favour in (0.0, 0.7, 0.8, 0.85):  # and that it is 7
            for _ in range(12):
                samples = bytearray([7])
                while len(samples) < 32 * CHUNK:
                    if chance.random() < stick:
                        samples.append(samples[-1])
                    else:
                        samples.append(7 if chance.random() < favour else chance.randrange(256))
                expected = by_definition(samples)
                assert failing(samples) == (expected and -(-expected // CHUNK) * CHUNK)
                seen.add(expected and expected // 512)
    assert None in seen and len(seen) >= 4


class Noise:
    """Two sources; what `dead` names gives the same sample from then on."""

    def __init__(self, *dead: str) -> None:
        self.dead = set(dead)
        self.chance = random.Random(1)
        self.taken = 0

    def sources(self) -> list[tuple[str, Callable[[bytearray], None]]]:
        return [("one", lambda buffer: self._fill("one", buffer)), ("two", lambda buffer: self._fill("two", buffer))]

    def _fill(self, name: str, buffer: bytearray) -> None:
        self.taken += 1
        buffer[:] = bytes(CHUNK) if name in self.dead else self.chance.randbytes(CHUNK)

    def extra(self) -> bytes:
        return b""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Random]:
    monkeypatch.setattr(entropy, "time", SimpleNamespace(ticks_cpu=itertools.count().__next__))

    def made(noise: Noise, told: list[str], state: dict[str, Any] | None = None) -> Random:
        def event(name: str, subject: str, text: str) -> None:
            told.append(f"{name} {subject}: {text}")

        return Random(noise, b"board", event, state, str(tmp_path / "random.seed"))

    return made


def test_a_source_that_fails_is_told_once_and_the_other_one_carries_on(make: Callable[..., Random]) -> None:
    told: list[str] = []
    numbers = make(Noise("two"), told)
    assert len({numbers.draw(16) for _ in range(20)}) == 20
    assert told == ["random_failed two: repetition count"]


@pytest.mark.parametrize("when", ["at the start", "later"])
def test_without_a_source_there_is_no_number(make: Callable[..., Random], tmp_path: Path, when: str) -> None:
    told: list[str] = []
    noise = Noise()
    numbers = make(noise, told)
    if when == "later":
        numbers.draw(16)
    noise.dead = {"one", "two"}
    for _ in range(3):
        with pytest.raises(OSError, match="no source of noise is left"):
            numbers.draw(16)
    assert sorted(told) == ["random_failed one: repetition count", "random_failed two: repetition count"]
    assert (tmp_path / "random.seed").exists() == (when == "later")
    noise.dead.clear()  # what has failed counts no more until the next start
    with pytest.raises(OSError, match="no source of noise is left"):
        numbers.draw(16)
    assert len(make(noise, told).draw(16)) == 16


def test_a_start_takes_1024_samples_of_each_source_and_each_draw_takes_fresh_ones(make: Callable[..., Random]) -> None:
    noise = Noise()
    numbers = make(noise, [])
    numbers.begin()
    assert noise.taken * CHUNK == 2 * 1024
    numbers.draw(16)
    assert noise.taken * CHUNK == 2 * (1024 + CHUNK)


def test_no_number_until_the_seed_can_be_written(make: Callable[..., Random], tmp_path: Path) -> None:
    (tmp_path / "random.seed.new").mkdir()
    numbers = make(Noise(), [])
    with pytest.raises(OSError, match="seed"):
        numbers.draw(16)
    (tmp_path / "random.seed.new").rmdir()
    assert len(numbers.draw(16)) == 16 and (tmp_path / "random.seed").stat().st_size == 32


def asleep(numbers: Random) -> dict[str, Any]:
    """What a wake finds of it, once it was kept as JSON."""
    return power._woken(json.loads(json.dumps(power._slept(numbers.state()))))


def test_a_deep_sleep_goes_on_without_flash_and_a_power_cut_repeats_nothing(
    make: Callable[..., Random], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The noise is the same at each wake and each start."""
    monkeypatch.setattr(entropy, "time", SimpleNamespace(ticks_cpu=lambda: 0))
    given = []
    for _ in range(2):  # the power is cut while it sleeps for the third time, and while it is awake
        numbers = make(Noise(), [])
        given.append(numbers.draw(16))
        seed = (tmp_path / "random.seed").read_bytes()
        for wake in range(3):
            noise = Noise()
            numbers = make(noise, [], asleep(numbers))
            if wake == 1:
                continue  # one that measures, and draws nothing
            given.append(numbers.draw(16))
            assert noise.taken * CHUNK == 2 * (1024 + CHUNK)
        assert (tmp_path / "random.seed").read_bytes() == seed
    assert len(given) == 6 == len(set(given))


def test_a_source_that_has_failed_counts_no_more_after_a_deep_sleep(make: Callable[..., Random]) -> None:
    numbers = make(Noise("two"), [])
    numbers.draw(16)
    told: list[str] = []
    noise = Noise("one")
    numbers = make(noise, told, asleep(numbers))
    with pytest.raises(OSError, match="no source of noise is left"):
        numbers.draw(16)
    assert told == ["random_failed one: repetition count"]


def test_no_cut_has_a_start_give_what_another_gave_even_of_the_same_noise(micropython: Callable[..., Any]) -> None:
    cuts, in_cuts, without_a_seed = micropython(program(__file__, "cuts"))
    assert cuts >= 12
    assert in_cuts == 0  # the next start's seed is on flash before the first number
    assert without_a_seed == 2  # of four: but for the seed both starts are the same
