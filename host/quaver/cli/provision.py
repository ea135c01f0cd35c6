"""`quaver provision`: from a flashed, blank node to one in service, in a dialogue or from a plan."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.inventory import inventory_option
from quaver.cli.keys import expires_option, keys_option
from quaver.cli.monitor import ca_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from quaver.fleet.inventory import Inventory
    from quaver.fleet.keys import KeyStore
    from quaver.provision.bluetooth import Bluetooth
    from quaver.provision.flow import Answers, Ask, Flow
    from quaver.provision.hands import ClosableTransport, Hands
    from quaver.provision.runs import Runs

_AT_ONCE = 16
_SCAN_MAX = 400
_PATIENCE_S = 60


@click.command("provision")
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="PORT",
    help="A serial device, socket://host:port, or a board's unique id; repeatable.",
)
@click.option("--ble", is_flag=True, help="Also find nodes over Bluetooth.")
@click.option(
    "--from",
    "plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="A plan as CSV, one node per row.",
)
@click.option(
    "--broker", envvar="QUAVER_BROKER", show_envvar=True, metavar="URL", help="The broker to which the nodes publish."
)
@click.option(
    "--listen", metavar="URL", help="The same broker, at the address that this machine uses, if that differs."
)
@ca_option
@click.option("--wifi", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
              help="Wi-Fi profiles (TOML, mode 0600); by default wifi.toml in the key store.")  # fmt: skip
@keys_option
@inventory_option
@click.option("--limit", type=click.FloatRange(1, 3600), default=90.0, show_default=True, metavar="S",
              help="Seconds until a node must be online.")  # fmt: skip
@expires_option
@click.option("--new", is_flag=True, help="Discard an interrupted run.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per node; asks nothing.")
def command(
    ports: tuple[str, ...],
    ble: bool,
    plan: Path | None,
    broker: str | None,
    listen: str | None,
    ca: Path | None,
    wifi: Path | None,
    folder: Path | None,
    path: Path | None,
    limit: float,
    days: int | None,
    new: bool,
    as_json: bool,
) -> int:
    """Bring nodes into service: keys, network, topic prefix and machine, in a dialogue or from a CSV plan.

    The dialogue asks what it can't find out; an interrupted run continues where it stopped. A plan has the
    columns id, name, asset, and any of site, area, line, code, wifi, broker, time_server, group, mounting, bearing,
    rpm, limits.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.fleet.inventory import Inventory, default_path
    from quaver.fleet.keys import KeyStore, default_folder
    from quaver.provision.hands import Hands
    from quaver.provision.identity import Codes
    from quaver.provision.plan import read_profiles

    for url in filter(None, (broker, listen)):
        parse_broker_url(url)  # told now, not when the node has joined its network
    keys_folder = folder or default_folder()
    lock = threading.Lock()
    codes = Codes(keys_folder)
    profiles = read_profiles(wifi or keys_folder / "wifi.toml")
    ways = _Ways(tuple(ports) or tuple(_serial_ports()), ble)

    def hands(where: _Ways, store: Inventory, progress: Callable[[int], None] | None = None) -> Hands:
        keys = KeyStore(keys_folder)
        ear = partial(_Ear, keys, ca)
        return Hands(
            where.ports,
            where.open,
            keys=keys,
            codes=codes,
            inventory=store,
            listen=ear,
            broker=listen,
            online_s=limit,
            progress=progress,
            lock=lock,
            seen=where.seen,
            days=days,
        )

    path = path or default_path()
    with Inventory(path) as store:
        if plan is not None:
            return _plan(
                plan,
                profiles,
                codes=codes,
                store=store,
                path=path,
                broker=broker,
                ways=ways,
                hands=hands,
                as_json=as_json,
            )
        return _dialogue(
            keys_folder, profiles, broker=broker, store=store, ways=ways, hands=hands, new=new, as_json=as_json
        )


class _Ways:
    """To nodes: by cable, and with `ble` by radio."""

    def __init__(self, ports: tuple[str, ...], ble: bool) -> None:
        self._ports = tuple(map(_device, ports))
        self._bluetooth: Bluetooth | None = None
        if ble:
            from quaver.provision.bluetooth import Bluetooth

            self._bluetooth = Bluetooth()

    def ports(self) -> tuple[str, ...]:
        return self._ports

    def seen(self) -> dict[str, tuple[bytes, bool]]:
        """Those in reach of the radio."""
        return self._bluetooth.find() if self._bluetooth else {}

    def open(self, where: str) -> ClosableTransport:
        from quaver.provision.serial import SerialTransport

        if self._bluetooth and where.startswith("ble:"):
            return self._bluetooth.open(where)
        return SerialTransport(where)

    def whereabouts(self) -> dict[str, list[str]]:
        """Node id -> where, of all nodes that answer; several places, where several say that they are the one."""
        from quaver.errors import SessionError
        from quaver.provision.session import who

        def look(port: str) -> tuple[str, str] | None:
            try:
                transport = self.open(port)
            except SessionError:
                return None
            try:
                answer = who(transport, timeout=3.0)
            except SessionError:
                return None
            finally:
                transport.close()
            return (answer[0].hex(), port) if answer else None

        found: dict[str, list[str]] = {}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for node, port in filter(None, pool.map(look, self._ports)):
                found.setdefault(node, []).append(port)
        return {identity.hex(): [where] for where, (identity, _) in self.seen().items()} | found


def _dialogue(
    folder: Path,
    profiles: Mapping[str, Any],
    broker: str | None,
    store: Inventory,
    ways: _Ways,
    hands: Callable[..., Hands],
    new: bool,
    as_json: bool,
) -> int:
    from quaver.provision import report
    from quaver.provision.flow import Flow, Saved
    from quaver.provision.runs import Runs, runs_path

    saved = Saved(folder / "provision.json")
    if new:
        saved.remove()
    before = saved.load()
    if "id" in before and not as_json:
        click.echo(f"continuing with node {before['id']} (to start again: --new)", err=True)
    flow = Flow({**({"broker": broker} if broker else {}), **before, "profiles": dict(profiles)})
    began = time.monotonic()
    with _progress() as show, Runs(runs_path(store.path)) as runs:
        worker = hands(ways, store, show)
        try:
            with _Told(runs, flow) as told:
                _walk(flow, worker, lambda: saved.save(flow.answers), None if as_json else _ask, told)
        finally:
            worker.close()
    saved.remove()
    result = report.result(flow.answers, time.monotonic() - began)
    if as_json:
        click.echo(json.dumps(result))
        return 0
    for line in (*report.spectrum(result["first"] or {}), report.sentence(result)):
        click.echo(line)
    for line in report.warnings(result):
        click.echo(f"warning: {line}", err=True)
    return 0


class _Told:
    """Writes down how far a run is, once it is known of which node it is; a context manager around all of it."""

    def __init__(self, runs: Runs, flow: Flow) -> None:
        self._runs, self._flow = runs, flow
        self._step, self._why, self._began = "", "", False

    def step(self, name: str, asking: bool = False) -> None:
        self._step = name
        self._why = self._why if asking else ""
        self._tell("asking" if asking else "working", self._why)

    def failed(self, error: Exception) -> None:
        """Told on with the question that comes of it."""
        self._why = str(error)

    def __enter__(self) -> _Told:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        from quaver.errors import QuaverError

        if error is None:
            self._tell("done")
        elif isinstance(error, QuaverError):
            self._tell("failed", str(error))
        else:
            self._tell("interrupted")

    def _tell(self, state: str, why: str = "") -> None:
        from quaver.provision.flow import PLACE

        answers = self._flow.answers
        if "id" not in answers:
            return
        parts = [str(answers.get(key, "")) for key in PLACE]
        place = "/".join(parts) if all(parts) else ""
        self._runs.tell(bytes.fromhex(answers["id"]), self._step, state, why, place, fresh=not self._began)
        self._began = True


def _walk(
    flow: Flow,
    worker: Hands,
    save: Callable[[], None],
    ask: Callable[[Ask], str] | None,
    told: _Told,
) -> None:
    """All steps to the end. Without `ask`, or when nothing can be asked again, a failure is raised."""
    from quaver.errors import QuaverError, SessionError
    from quaver.provision.flow import Ask
    from quaver.provision.session import MustWait

    failure = ""  # of the work since the last question: the same a second time would come for ever
    while (step := flow.next()) is not None:
        told.step(step.name, isinstance(step, Ask))
        if isinstance(step, Ask):
            failure = ""
            if ask is None:
                raise SessionError(
                    f"{step.name} is not known, and there is no terminal to ask at: run it in a terminal"
                )
            try:
                flow.answer(ask(step))
            except ValueError as error:
                click.echo(f"  {error}", err=True)
                continue
        else:
            if ask is not None:
                click.echo(f"· {step.words}", err=True)
            try:
                flow.done(worker.do(step.name, flow.answers))
            except MustWait as error:
                if error.seconds > _PATIENCE_S:
                    raise
                click.echo(f"  {error}", err=True)
                time.sleep(error.seconds)
            except QuaverError as error:
                forgotten = flow.failed()
                final = step.name in ("connect", "check") and _is_final(error)
                if ask is None or not forgotten or final or str(error) == failure:
                    if "id" in flow.answers:
                        save()
                    raise
                failure = str(error)
                told.failed(error)
                click.echo(f"  {error}", err=True)
        if "id" in flow.answers:
            save()


def _is_final(error: Exception) -> bool:
    """Whether another answer can't help: only a wrong code, or another broker, is worth asking for."""
    from quaver.provision.session import WrongCode

    return not isinstance(error, WrongCode)


def _ask(question: Ask) -> str:
    from quaver.provision.flow import choices_shown

    if question.listed:
        for line in choices_shown(question.choices):
            click.echo(line, err=True)
    elif question.choices:
        question = type(question)(**{**vars(question), "words": f"{question.words} ({'/'.join(question.choices)})"})
    answer: str = click.prompt(
        question.words,
        default=question.default if question.default is not None else "",
        show_default=bool(question.default),
        hide_input=question.secret,
        err=True,
    )
    return answer[:_SCAN_MAX]


def _plan(
    file: Path,
    profiles: Mapping[str, Mapping[str, str]],
    codes: Any,
    store: Inventory,
    path: Path,
    broker: str | None,
    ways: _Ways,
    hands: Callable[..., Hands],
    as_json: bool,
) -> int:
    from quaver.errors import InventoryError, QuaverError, SessionError
    from quaver.fleet.inventory import Inventory
    from quaver.provision import report
    from quaver.provision.flow import Flow
    from quaver.provision.plan import identities, read_plan
    from quaver.provision.runs import Runs, runs_path

    good, mistakes = read_plan(file, profiles, codes, store, broker)
    nodes = identities(file)
    with Runs(runs_path(path)) as runs:
        for mistake in mistakes:
            if mistake.row in nodes:
                runs.tell(nodes[mistake.row], "plan", "failed", f"{mistake.column}: {mistake.reason}", fresh=True)
    where = ways.whereabouts()

    def one(item: tuple[int, Answers]) -> dict[str, Any]:
        row, answers = item
        began = time.monotonic()
        try:
            port, *others = where.get(answers["id"], [None])
            flow = Flow({**answers, "node": port, "found": {port: port}, "networks": []})
            with Inventory(path) as own, Runs(runs_path(path)) as runs, _Told(runs, flow) as told:
                told.step("find")
                if port is None:
                    raise SessionError(f"node {answers['id']} was not found; connect and power it")
                if others:
                    both = ", ".join((port, *others))
                    raise SessionError(
                        f"node {answers['id']} answers at {both}; connect one board with that id at a time"
                    )
                worker = hands(ways, own)
                try:
                    _walk(flow, worker, lambda: None, None, told)
                finally:
                    worker.close()
            return {"row": row, **report.result(flow.answers, time.monotonic() - began)}
        except QuaverError as error:
            return {"row": row, "id": answers["id"], "failed": str(error)}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(one, good))
    results += [{"row": m.row, "column": m.column, "failed": m.reason} for m in mistakes]
    failed = [result for result in results if "failed" in result]
    for result in sorted(results, key=lambda result: int(result["row"])):
        if as_json:
            click.echo(json.dumps(result))
        elif "failed" in result:
            column = f", {result['column']}" if result.get("column") else ""
            click.echo(f"row {result['row']}{column}: {result['failed']}")
        else:
            click.echo(f"row {result['row']}: {report.sentence(result)}")
            for line in report.warnings(result):
                click.echo(f"row {result['row']}: warning: {line}")
    if not as_json:
        rows = {result["row"] for result in failed}
        times = sorted(result["seconds"] for result in results if "seconds" in result)
        median = f", median {times[len(times) // 2]:.1f} s" if times else ""
        click.echo(f"in service: {len(times)}{median}; rows failed: {len(rows)}")
    return InventoryError.exit_code if failed else 0


@dataclass(frozen=True)
class _OneKey:
    """Of a key store the key of one node and generation."""

    keys: KeyStore
    node: bytes
    generation: int

    def device_keys(self, node_id: bytes) -> Mapping[int, bytes]:
        found = self.keys.device_keys(node_id) if node_id == self.node else {}
        return {number: key for number, key in found.items() if number == self.generation}


class _Ear:
    """A subscription to all that one node seals with one key on one topic prefix."""

    def __init__(self, keys: KeyStore, ca: Path | None, broker: str, prefix: str, node: bytes, generation: int) -> None:
        from quaver.broker.address import parse_broker_url
        from quaver.messages.monitor import Monitor
        from quaver.messages.sealing import Opener

        only = _OneKey(keys, node, generation)
        self._monitor = Monitor(parse_broker_url(broker), f"{prefix}/#", ca, Opener(only)).start()
        self._heard: dict[str, Mapping[str, Any]] = {}

    def wait(self, kind: str, timeout: float) -> Mapping[str, Any] | None:
        from quaver.messages.record import Record

        end = time.monotonic() + timeout
        while kind not in self._heard and (left := end - time.monotonic()) > 0:
            item = self._monitor.get(min(left, 0.5))
            if isinstance(item, Record) and item.values.get("state", "online") == "online":
                self._heard.setdefault(item.kind, item.values)
        return self._heard.get(kind)

    def close(self) -> None:
        self._monitor.stop()


def _device(port: str) -> str:
    """What a person names as a port: a device or URL as it stands, or a unique id. Raises KnownFailure."""
    from quaver.board.ports import named_port

    return port if "/" in port else named_port(port).device


def _serial_ports() -> list[str]:
    from serial.tools.list_ports import comports

    return [port.device for port in comports() if port.vid is not None]


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """A bar for the handshake, which takes a small chip a second."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    bars = Progress(
        TextColumn("  key agreement"), BarColumn(), console=Console(stderr=True, markup=False), transient=True
    )
    task = bars.add_task("", total=100)

    def show(percent: int) -> None:
        if not sys.stderr.isatty():
            return
        if percent < 95:
            bars.start()
        bars.update(task, completed=percent)
        if percent >= 95:
            bars.stop()

    try:
        yield show
    finally:
        if bars.live.is_started:  # else it would print an empty line
            bars.stop()
