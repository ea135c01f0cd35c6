"""One input at a time into a target, on CPython and beside it on MicroPython's unix port; what must not happen is kept.

A finding is an exception that the target's row does not allow, an input that takes more than SLOW_S of the processor or
LARGE bytes more of memory, and, where a device's code runs on both, another outcome on the one than on the other.
"""

from __future__ import annotations

import builtins
import contextlib
import hashlib
import importlib
import os
import random
import resource
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fuzz_device

from fuzzing import host

SLOW_S = 2.0
LARGE = 200 << 20
HEAP = "1m"  # of MicroPython
_LOOK = 50  # inputs from one look at the memory to the next
_BATCH = 200
_BATCH_BYTES = 1 << 16
_PATIENCE_S = 120  # for a batch: a loop without an end


@dataclass(frozen=True)
class Target:
    """A row of a table, made: `one` takes an input. alike: None where the host's code is tried."""

    name: str
    takes: str
    modules: Sequence[str]
    right: tuple[type[BaseException], ...]
    longest: int
    one: Callable[[bytes], object]
    alike: bool | None = None


def names() -> dict[str, str]:
    """Of every target, what an input of it is."""
    return {row[0]: row[1] for row in (*fuzz_device.TARGETS, *host.TARGETS)}


def make(name: str, folder: Path) -> Target:
    """The target of that name. folder: for files that it needs."""
    for name_, takes, modules, _, alike, _ in fuzz_device.TARGETS:
        if name_ == name:
            one, right = fuzz_device.target(name)
            return Target(name, takes, modules.split(), right, 1500, one, alike)
    for name_, takes, modules, errors, longest, maker in host.TARGETS:
        if name_ == name:
            right = tuple(fuzz_device.named(f"quaver.{error}") for error in errors.split())
            below = [f"quaver.{module}" for module in modules.split()]
            return Target(name, takes, below, right, longest, maker(folder))
    raise KeyError(name)


@dataclass
class Trial:
    """Counts what came of each input. folder: where a finding's input is kept, and beside it what happened."""

    target: Target
    folder: Path
    unix: Unix | None = None
    inputs: int = 0
    taken: int = 0
    findings: dict[str, str] = field(default_factory=dict)
    _largest: int = 0

    def __call__(self, data: bytes) -> None:
        self.inputs += 1
        began = time.perf_counter()
        refused = False
        said: object = None
        try:
            said = self.target.one(data)
            self.taken += 1
        except self.target.right:
            refused = True
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            self._keep(data, _place(error), "".join(traceback.format_exception(error)))
            said = None
        if time.perf_counter() - began > SLOW_S:
            self._again(data)
        if self.inputs % _LOOK == 0:
            self._look(data)
        if self.unix:
            same = None
            if self.target.alike and (refused or isinstance(said, str)):
                same = fuzz_device.REFUSED if refused else fuzz_device.outcome(str(said))
            self._compare(self.unix.put(data, same))

    def _again(self, data: bytes) -> None:
        """It was slow: the machine may have been busy, so what counts is the processor's time for it once more."""
        began = time.process_time()
        with contextlib.suppress(BaseException):
            self.target.one(data)
        took = time.process_time() - began
        if took > SLOW_S:
            self._keep(data, "slow", f"it took {took:.1f} s of the processor")

    def _look(self, data: bytes) -> None:
        """Whether one of the last inputs took much memory."""
        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if self._largest and largest > self._largest + LARGE:
            self._keep(
                data, "large", f"this input, or one of the {_LOOK} before, took {largest - self._largest >> 20} MB"
            )
        self._largest = max(largest, self._largest)

    def close(self) -> None:
        """Hear what MicroPython has still to say."""
        if self.unix:
            self._compare(self.unix.flush())
            self.unix.close()

    def _compare(self, found: Sequence[tuple[bytes, str]]) -> None:
        for data, text in found:
            last = text.strip().splitlines()[-1]
            place = [line.strip() for line in text.splitlines() if line.strip().startswith("File")][-1:]
            self._keep(data, f"MicroPython: {last[:60]} {''.join(place)}", text)

    def _keep(self, data: bytes, what: str, text: str) -> None:
        if what in self.findings:
            return
        name = f"{self.target.name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"{name}.input").write_bytes(data)
        (self.folder / f"{name}.txt").write_text(f"{what}\n\n{text}")
        self.findings[what] = str(self.folder / f"{name}.input")


def _place(error: BaseException) -> str:
    """The kind of an error, and the line that raised it: what makes two findings one."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/fuzz" not in frame.filename] or frames
    words = str(error)[:60] if isinstance(error, AssertionError) else ""
    return f"{type(error).__name__} {words} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"


class Unix:
    """A target on MicroPython's unix port, fed over a pipe: a batch works there while the next is gathered here."""

    def __init__(self, name: str, paths: Sequence[Path]) -> None:
        path = ":".join([*map(str, paths), ".frozen"])
        command = [Path(sys.executable).with_name("micropython"), "-X", f"heapsize={HEAP}"]
        code = f"import sys\nsys.path.pop(0)\nfrom fuzz_device import serve\nserve({name!r})"
        self._command = [*map(str, command), "-c", code]
        self._environment = {**os.environ, "MICROPYPATH": path}
        self._gathered: list[tuple[bytes, bytes | None]] = []
        self._size = 0
        self._waited: list[tuple[bytes, bytes | None]] = []
        self.inputs = 0
        self._start()

    def _start(self) -> None:
        self._process: Any = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )

    def put(self, data: bytes, same: bytes | None) -> list[tuple[bytes, str]]:
        """Have it tried in its turn; returns findings of inputs before. same: the outcome that it must have."""
        self._gathered.append((data, same))
        self._size += len(data)
        if len(self._gathered) < _BATCH and self._size < _BATCH_BYTES:
            return []
        found = self._answers()
        self._send()
        return found

    def flush(self) -> list[tuple[bytes, str]]:
        """Have all tried; returns the findings."""
        found = self._answers()
        self._send()
        return found + self._answers()

    def _send(self) -> None:
        parts = [(len(data) + 1).to_bytes(3, "big") + b"\0" + data for data, _ in self._gathered]
        self._waited, self._gathered, self._size = self._gathered, [], 0
        try:
            self._process.stdin.write(b"".join(parts) + bytes(3))
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # told where its answers are awaited

    def _answers(self) -> list[tuple[bytes, str]]:
        waited, self._waited = self._waited, []
        if not waited:
            return []
        answers = self._read(4 * len(waited))
        if answers is None:
            return self._died(waited)
        self.inputs += len(waited)
        found = []
        for at, (data, same) in enumerate(waited):
            answer = answers[4 * at : 4 * at + 4]
            if answer == fuzz_device.FINDING:
                size = self._read(2) or b"\0\0"
                found.append(
                    (data, (self._read(int.from_bytes(size, "big")) or b"it ended").decode("utf-8", "replace"))
                )
            elif same is not None and answer != same:
                found.append((data, "another outcome than on CPython"))
        return found

    def _read(self, count: int) -> bytes | None:
        """So many bytes; None when they do not come."""
        found = b""
        while len(found) < count:
            if not select.select([self._process.stdout], [], [], _PATIENCE_S)[0]:
                return None
            part = os.read(self._process.stdout.fileno(), count - len(found))
            if not part:
                return None
            found += part
        return found

    def _died(self, waited: list[tuple[bytes, bytes | None]]) -> list[tuple[bytes, str]]:
        """It has ended, or goes round in circles, within a batch: which input was it?"""
        self._process.kill()
        said = self._process.stderr.read().decode("utf-8", "replace")
        self._process.wait()
        self._start()
        if len(waited) == 1:
            return [(waited[0][0], f"{said}\nMicroPython ended, or did not answer")]
        if not self._process_works():
            raise SystemExit(f"fuzz: MicroPython does not start: {said}")
        found = []
        for one in waited:
            self._gathered = [one]
            self._send()
            found += self._answers()
        return found

    def _process_works(self) -> bool:
        self._process.stdin.write(bytes((0, 0, 1)) + b"\0" + bytes(3))
        self._process.stdin.flush()
        return self._read(4) is not None

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


def mutated(corpus: Sequence[bytes], chance: random.Random, longest: int) -> bytes:
    """An input made of others, without a look at what it reaches: where there is no fuzzer that looks."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.choice((0, 1, 1, 2, 3, 8))):
        at = chance.randrange(len(data) + 1)
        how = chance.randrange(6)
        if how == 0 and data:
            data[at - 1] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif how == 1 and data:
            data[at - 1] ^= 1 << chance.randrange(8)
        elif how == 2:
            del data[at : at + chance.choice((1, 2, 8, len(data)))]
        elif how == 3:
            data[at:at] = chance.randbytes(chance.choice((1, 2, 4, 16)))
        elif how == 4:
            data[at:at] = data[at : at + chance.choice((1, 4, 32, 200))]
        else:
            other = chance.choice(corpus)
            begin = chance.randrange(len(other) + 1)
            data[at:] = other[begin:]
    return bytes(data[:longest])


def lines(target: Target, corpus: Sequence[bytes]) -> tuple[int, int]:
    """(lines of its modules that the corpus reaches, lines that there are)."""
    files = {str(importlib.import_module(name).__file__) for name in target.modules}
    reached: set[tuple[str, int]] = set()

    def inside(frame: Any, event: str, _argument: object) -> Any:
        if event == "line":
            reached.add((frame.f_code.co_filename, frame.f_lineno))
        return inside

    def entered(frame: Any, _event: str, _argument: object) -> Any:
        return inside if frame.f_code.co_filename in files else None

    sys.settrace(entered)
    try:
        for data in corpus:
            with contextlib.suppress(BaseException):  # what it raises was looked at before
                target.one(data)
    finally:
        sys.settrace(None)
    there = {(file, line) for file in files for line in _lines_of(compile(Path(file).read_bytes(), file, "exec"))}
    return len(reached & there), len(there)


def _lines_of(code: Any) -> set[int]:
    """The lines of functions: those of a module and of classes were run at the import."""
    found = set()
    for constant in code.co_consts:
        if hasattr(constant, "co_lines"):
            found |= _lines_of(constant)
            if constant.co_flags & 2:  # CO_NEWLOCALS: a function; the line of its `def` belongs to what is around it
                found |= {line for _, _, line in constant.co_lines() if line and line > constant.co_firstlineno}
    return found


def silent() -> None:
    """What device code prints is for a console."""
    builtins.print = lambda *what, **how: None  # type: ignore[assignment]
