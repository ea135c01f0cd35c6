"""Gives every parser that meets strangers a million inputs each, found by what they reach; from a seed.

    make fuzz                                          # all targets, one after the other
    tools/fuzz.py --target cbor --inputs 1000000 --seed 1
    tools/fuzz.py --target cbor --again FILE           # one input once more, with its traceback

Each input is to be taken or refused with an error that the target's row names (docs/fuzzing.md). What else happens is a
finding: its input and its traceback are kept in --folder, and the exit code is 1. What device code is given runs on
CPython and, as the same inputs, on MicroPython's unix port, which must say the same.

A run that was ended before a target had its inputs is gone on with by the next one with the same --folder.

Atheris (libFuzzer) looks at what an input reaches and goes on from there; `make fuzz` installs it. Without it, or with
--blind, inputs are changed by chance alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE, PROTOCOLS, GUEST = ROOT / "firmware", ROOT / "protocols", ROOT / "tools" / "guest"
STAND_INS = ROOT / "tests" / "portable" / "stand_ins"  # const() and decorators, of which CPython has none
SEEN = ("quaver", "quaver_wire", "build", "drivers", "enrol", "links", "node", "service", "update", "umqtt")
SEEN += ("nptdms", "pyuff", "pymodbus", "tomllib")  # others' parsers that ours begin with
MEMORY = 6 << 30
_HANG_S = 300  # on the wall, as the machine may be busy; what counts is trial.SLOW_S of the processor


def _paths(folder: Path) -> None:
    """Where modules are, of the device too; its MQTT client is fetched and unpacked to `folder`."""
    from quaver.build import tree

    for path, source in tree._umqtt():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(source)
    sys.path[:0] = [str(path) for path in (STAND_INS, FIRMWARE, PROTOCOLS, GUEST, folder)]


def _corpus(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []


def work(name: str, options: argparse.Namespace) -> int:
    """Try one target in this process, which then ends: libFuzzer does not come back. Writes its report."""
    corpus = options.folder / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    aside = options.aside
    _paths(aside)
    fuzzer = None if options.blind else _atheris()
    if fuzzer:
        from atheris.import_hook import HookManager

        # Branches alone: the values of comparisons too would halve the inputs, and the first have the marks already.
        with HookManager(set(SEEN), set(), True, trace_dataflow=False):
            from fuzzing import seeds, trial

            target = trial.make(name, aside)
    else:
        from fuzzing import seeds, trial

        target = trial.make(name, aside)
    begin = seeds.seeds(name, aside)
    unix = None
    if target.alike is not None and options.unix:
        unix = trial.Unix(name, (GUEST, FIRMWARE, PROTOCOLS, aside))
    tried = trial.Trial(target, options.folder / "findings", unix)
    trial.silent()
    before = _before(options.folder / f"{name}.json", options)
    seed = options.seed + before["inputs"]  # the same one again would change the same inputs in the same way
    began, cpu = time.monotonic(), time.process_time()
    end = began + options.seconds

    def report(end: bool) -> dict[str, Any]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = {
            "inputs": tried.inputs, "unix": unix.inputs if unix else 0, "taken": tried.taken,
            "cpu_s": time.process_time() - cpu, "unix_cpu_s": children.ru_utime + children.ru_stime,
            "wall_s": time.monotonic() - began,
        }  # fmt: skip
        found = {what: round(before[what] + count, 1) for what, count in found.items()}
        found |= {
            "target": name, "seed": options.seed, "guided": fuzzer is not None,
            "corpus": len(list(corpus.iterdir())), "findings": tried.findings,
        }  # fmt: skip
        if end:
            found["lines"], found["of"] = trial.lines(target, _corpus(corpus) or begin)
        (options.folder / f"{name}.json").write_text(json.dumps(found, indent=1))
        return found

    def finish() -> None:
        tried.close()
        found = report(True)
        sys.stdout.flush()
        os._exit(1 if found["findings"] else 0)

    def one(data: bytes) -> None:
        tried(data)
        if tried.inputs % 20_000 == 0:
            report(False)
        if before["inputs"] + tried.inputs >= options.inputs or (tried.inputs % 50 == 0 and time.monotonic() > end):
            finish()

    report(False)
    if fuzzer is None:
        chance = random.Random(seed)
        known = [*begin, *_corpus(corpus)]
        for data in known:
            one(data)
        while True:
            one(trial.mutated(known, chance, target.longest))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number, data in enumerate(begin):
        (corpus / f"seed-{number:03}").write_bytes(data)
    longest = max(target.longest, *map(len, begin)) if begin else target.longest
    fuzzer.Setup(
        [name, str(corpus), f"-seed={seed & 0x7FFFFFFF}", f"-max_len={longest}", f"-timeout={_HANG_S}",
         f"-artifact_prefix={options.folder / 'findings' / name}-", "-verbosity=0", "-len_control=20", "-reload=0",
         f"-report_slow_units={_HANG_S}", "-rss_limit_mb=0"],
        one,
    )  # fmt: skip
    (options.folder / "findings").mkdir(exist_ok=True)
    fuzzer.Fuzz()
    return 0


def _before(report: Path, options: argparse.Namespace) -> dict[str, float]:
    """What the runs had that this one goes on from: of the same seed, with fewer inputs. Zeros without one."""
    counts = dict.fromkeys(("inputs", "unix", "taken", "cpu_s", "unix_cpu_s", "wall_s"), 0)
    found = json.loads(report.read_text()) if report.exists() else counts | {"seed": None}
    on = found["seed"] == options.seed and found["inputs"] < options.inputs
    return {what: found[what] for what in counts} if on else counts


def _atheris() -> Any:
    try:
        import atheris
    except ImportError:
        return None
    return atheris


def brief(options: argparse.Namespace) -> int:
    """Try all targets in this process, blind; for a test, which has seconds."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _paths(folder)
        from fuzzing import seeds, trial

        say = print
        trial.silent()
        found = 0
        for name in options.target or trial.names():
            target = trial.make(name, folder)
            unix = trial.Unix(name, (GUEST, FIRMWARE, PROTOCOLS, folder)) if target.alike is not None else None
            tried = trial.Trial(target, options.folder / "findings", unix)
            known, chance = seeds.seeds(name, folder), random.Random(options.seed)
            for number in range(max(options.inputs, len(known))):
                tried(known[number] if number < len(known) else trial.mutated(known, chance, target.longest))
            tried.close()
            found += len(tried.findings)
            say(f"{name}: {tried.inputs} inputs, {tried.taken} taken, {unix.inputs if unix else 0} on MicroPython")
            for what, path in tried.findings.items():
                say(f"    {what}: {path}")
    return 1 if found else 0


def again(name: str, path: Path) -> int:
    """Give a target one input once more, on both; whatever it raises is seen."""
    with tempfile.TemporaryDirectory() as folder:
        _paths(Path(folder))
        from fuzzing import trial

        target = trial.make(name, Path(folder))
        data = path.read_bytes()
        if target.alike is not None:
            unix = trial.Unix(name, (GUEST, FIRMWARE, PROTOCOLS, Path(folder)))
            for _, text in [*unix.put(data, None), *unix.flush()]:
                print(f"on MicroPython: {text}")
            unix.close()
        try:
            print("on CPython:", target.one(data))
        except target.right as error:
            print(f"on CPython refused: {type(error).__name__}: {error}")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", action="append", help="One of --list; all without it.")
    parser.add_argument("--list", action="store_true", help="Only list the targets.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="For each target.")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="The most for each target.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="Change inputs by chance alone.")
    parser.add_argument("--brief", action="store_true", help="All in one process, blind.")
    parser.add_argument("--no-unix", dest="unix", action="store_false", help="Leave MicroPython out.")
    parser.add_argument("--folder", type=Path, default=Path("fuzz"), help="For corpus, findings and reports.")
    parser.add_argument("--again", type=Path, help="An input to be tried once more.")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--aside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.insert(0, str(GUEST))
    if options.inputs < 1 or options.seed < 1:
        parser.error("expected at least 1 input, and a seed from 1 up")
    if options.worker:
        return work(options.worker, options)
    sys.path.insert(0, str(PROTOCOLS))
    from fuzzing.trial import names

    for name in options.target or ():
        if name not in names():
            parser.error(f"there is no target {name}: see --list")
    if options.list:
        for name, takes in names().items():
            print(f"{name:16} {takes}")
        return 0
    if options.brief:
        return brief(options)
    if options.again:
        if not options.target or len(options.target) > 1:
            parser.error("--again takes one --target")
        return again(options.target[0], options.again)
    options.folder.mkdir(parents=True, exist_ok=True)
    return max([_run(name, options) for name in options.target or names()])


def _run(name: str, options: argparse.Namespace) -> int:
    """Try one target in a process of its own; prints a line."""
    command = [sys.executable, __file__, "--worker", name, f"--inputs={options.inputs}", f"--seed={options.seed}"]
    command += [f"--folder={options.folder}"] + ["--blind"] * options.blind + ["--no-unix"] * (not options.unix)
    command += [f"--seconds={options.seconds}"]
    report = options.folder / f"{name}.json"
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # a file for each input
    with (options.folder / f"{name}.log").open("wb") as log, tempfile.TemporaryDirectory(dir=memory) as aside:
        code = subprocess.run([*command, f"--aside={aside}"], stdout=log, stderr=log).returncode
    found = json.loads(report.read_text()) if report.exists() else {}
    if code not in (0, 1) or "lines" not in found:
        log_path = options.folder / f"{name}.log"
        print(f"{name:16} ended with {code} after {found.get('inputs', 0):,} inputs: {log_path}", flush=True)
        return 2
    per_s = found["inputs"] / max(found["cpu_s"], 0.01)
    both = f", {found['unix']:,} on MicroPython" if found["unix"] else ""
    print(
        f"{name:16} {found['inputs']:,} inputs{both}, seed {found['seed']}{'' if found['guided'] else ', blind'}: "
        f"{found['taken']:,} taken, {per_s:,.0f} inputs/s of the processor, corpus {found['corpus']}, "
        f"{found['lines']} of {found['of']} lines, {len(found['findings'])} findings",
        flush=True,
    )
    for what, path in found["findings"].items():
        print(f"    {what}: {path}")
    return 1 if found["findings"] else 0


if __name__ == "__main__":
    sys.exit(main())
