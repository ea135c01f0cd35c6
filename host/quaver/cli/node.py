"""`quaver node`: field operations on one node over the broker: sealed, answered, kept for it while it is away."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.advice import advice_lines, advices, lang_option
from quaver.cli.ingest import StoreType
from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option
from quaver.cli.spectrum import parse_since, spectrum
from quaver.cli.values import value_of

if TYPE_CHECKING:
    from quaver.fleet.operator import Operator
    from quaver.fleet.waveform import Waveform
    from quaver.store.location import Location

_WAIT_S = 60.0


def _operation(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that every operation has, and the node as the first argument."""

    @click.option("--timeout", type=click.FloatRange(0.1, 3600), default=_WAIT_S, show_default=True, metavar="SECONDS",
                  help="How long to wait for each answer.")  # fmt: skip
    @click.option("--expires", type=click.FloatRange(0.1, 2_592_000), metavar="SECONDS",
                  help="How long the node may still obey, if it is offline now. By default --timeout.")  # fmt: skip
    @click.option("--json", "as_json", is_flag=True, help="One JSON object with the result.")
    @keys_option
    @ca_option
    @broker_option
    @click.pass_obj
    def run(
        name: str,
        /,
        url: str,
        ca: Path | None,
        folder: Path | None,
        timeout: float,
        expires: float | None,
        as_json: bool,
        **arguments: Any,
    ) -> Any:
        from quaver.broker.address import parse_broker_url
        from quaver.fleet.operator import Operator

        def say(words: str) -> None:
            if sys.stderr.isatty():
                click.echo(words, err=True)

        with Operator(
            parse_broker_url(url), open_store(folder), name=name, ca=ca, timeout_s=timeout, expires_s=expires, say=say
        ) as node:
            return function(node, as_json, **arguments)

    return functools.update_wrapper(run, function)


def _tell(node: Operator, as_json: bool, words: str, **result: Any) -> None:
    if as_json:
        click.echo(json.dumps({"node": node.node.name, **result}))
    else:
        click.echo(f"{node.node.name}: {words}")


@click.group("node")
@click.argument("name")
@click.pass_context
def command(ctx: click.Context, name: str) -> None:
    """Command a node remotely: its configuration, a measurement, its waveform, its log, its key.

    NAME is the node's name, or its id, in the key store. A node that is offline gets a command when it returns, until
    the command expires.
    """
    ctx.obj = name


@command.command("identify")
@_operation
def identify(node: Operator, as_json: bool) -> None:
    """Have the node blink for five seconds."""
    node.ask("identify")
    _tell(node, as_json, "blinks")


@command.command("measure", short_help="Have the node measure now, and show the main figures.")
@lang_option
@_operation
def measure(node: Operator, as_json: bool, lang: str | None) -> None:
    """Have the node measure now, and show the main figures and what they mean.

    The whole record is sent like all records.
    """
    from quaver.knowledge import keys_of
    from quaver_wire.fields import FAULTS, LEVELS, QUALITY
    from quaver_wire.names import MACHINE, ZONES

    values = node.ask("measure")
    values["level"] = LEVELS[min(values.get("level", 0), len(LEVELS) - 1)]
    values["quality"] = [mark for bit, mark in enumerate(QUALITY) if values.get("quality", 0) >> bit & 1]
    for name, value in values.items():
        if isinstance(value, float):
            values[name] = float(f"{value:.6g}")
    shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if isinstance(value, float))
    state = ""
    if "machine" in values:
        values["machine"] = MACHINE[min(values["machine"], len(MACHINE) - 1)]
        state = f"; {values['machine']}"
        state += f", {values.get('learned', 0)} healthy so far" if values["machine"] == "learning" else ""
    state += f"; class {values['class']}" if "class" in values else ""
    for name, names in (("zone", ZONES), ("fault", FAULTS)):
        if name in values:
            values[name] = names[values[name]] if values[name] < len(names) else str(values[name])
            state += f"; {name} {values[name]}" if name == "zone" else f"; {values[name]}"
    marks = f"; quality: {', '.join(values['quality'])}" if values["quality"] else ""
    _tell(node, as_json, f"{values['level']}: {shown}{state}{marks}", **values)
    if not as_json:
        said: dict[str, Any] = {name: values.get(name) for name in ("fault", "zone", "machine", "abstained")}
        for advice in advices(keys_of(quality=values["quality"], **said), lang):
            click.echo("\n".join(advice_lines(advice)))


def _placed(path: Path) -> Path:
    from quaver.analysis.spectra import check_place
    from quaver.errors import OperationError
    from quaver.fleet.waveform import FORMATS

    if path.suffix not in FORMATS:
        raise OperationError(f"{path}: expected a name that ends in {' or '.join(FORMATS)}")
    check_place(path)
    return path


@command.command("waveform", short_help="Fetch the samples of the last measurement or alarm.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              callback=lambda _ctx, _parameter, path: path and _placed(path),
              help="The output, .npz or .wav, with a picture beside it. By default NAME.npz.")  # fmt: skip
@click.option("--alarm", is_flag=True, help="Those of the moment of the last alarm, which the node has kept.")
@_operation
def waveform(node: Operator, as_json: bool, output: Path | None, alarm: bool) -> None:
    """Fetch the samples of the last measurement, or of the last alarm.

    FILE is an .npz or .wav file; a picture is written beside it.

    A node keeps the samples of an alarm until they are fetched, or until another alarm an hour later and more.

    Call an interrupted command again with the same FILE: it continues where it stopped.
    """
    from quaver.fleet.waveform import fetch, let_go, save

    path = output or _placed(Path(f"{node.node.name}{'-alarm' if alarm else ''}.npz"))

    def progress(done: int, total: int) -> None:
        if sys.stderr.isatty():
            click.echo(f"\r{done:,} of {total:,} bytes", nl=done >= total, err=True)

    found = fetch(node, path, progress, alarm)
    moment = _moment(found) if alarm else ""
    path, picture = save(path, found, f"{node.node.name}{moment}")
    if alarm:
        let_go(node, found)
    about: dict[str, Any] = {"samples": len(found.samples), "rate_hz": found.rate_hz, "g_per_lsb": found.scale_g}
    if alarm:
        about |= {"boot": found.boot, "uptime_ms": found.uptime_ms, "time_ms": found.time_ms}
    words = f"{len(found.samples):,} samples at {found.rate_hz:,.0f} Hz{moment} in {path}, shown in {picture}"
    _tell(node, as_json, words, file=str(path), picture=str(picture), **about)


def _moment(waveform: Waveform) -> str:
    """When an alarm was, e.g. ", alarm of 2026-09-21 14:13:20 UTC"."""
    from datetime import UTC, datetime

    if waveform.time_ms is not None:
        stamp = datetime.fromtimestamp(waveform.time_ms / 1000, UTC)
        return f", alarm of {stamp:%Y-%m-%d %H:%M:%S} UTC"
    return f", alarm of boot {waveform.boot}, {(waveform.uptime_ms or 0) / 1000:,.0f} s after its start"


command.add_command(spectrum)


@command.command("relearn")
@click.option("--class", "number", type=click.IntRange(1, 4), metavar="NUMBER",
              help="Only that of the machine's class of speed or load of this number.")  # fmt: skip
@_operation
def relearn(node: Operator, as_json: bool, number: int | None) -> None:
    """Have the node learn its baseline again, or that of one class."""
    if number is None:
        node.ask("relearn")
        _tell(node, as_json, "learns its baseline again")
    else:
        node.ask("relearn_class", {"number": number})
        _tell(node, as_json, f"learns the baseline of class {number} again", **{"class": number})


@command.command("reset-rule")
@click.argument("rule")
@_operation
def reset_rule(node: Operator, as_json: bool, rule: str) -> None:
    """Let go RULE, which has tripped: its output is switched back. The node refuses while its condition holds."""
    node.ask("reset_rule", {"rule": rule})
    _tell(node, as_json, f"{rule} is reset", rule=rule)


@command.command("log")
@_operation
def log(node: Operator, as_json: bool) -> None:
    """Show the last lines of the node's console."""
    from quaver.fleet.procedures import read_log

    lines = read_log(node)
    if as_json:
        _tell(node, True, "", lines=lines)
    else:
        for line in lines:
            click.echo("".join(mark if mark.isprintable() else "?" for mark in line))


@command.command("reboot")
@_operation
def reboot(node: Operator, as_json: bool) -> None:
    """Restart the node, and wait until it is back."""
    from quaver.fleet.procedures import reboot as restart

    boot = restart(node)
    _tell(node, as_json, f"is back, in boot {boot}", boot=boot)


@command.command("update", short_help="Have the node take a release, and wait until it has confirmed it.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@_operation
def update(node: Operator, as_json: bool, file: Path) -> None:
    """Have the node take the release in FILE, and wait until it has confirmed it.

    The release must be at the node's broker: quaver release publish. The node goes on measuring while it fetches what
    it does not have, restarts, and keeps the new firmware once it has measured and reached its broker or gateway; else
    the old one comes back by itself.
    """
    from quaver.fleet.procedures import update as change
    from quaver.release.bundle import read_release

    release = read_release(file)
    number = change(node, release.envelopes)
    version = release.manifest.version
    _tell(node, as_json, f"runs release {number}, quaver {version}", sequence=number, version=version)


@command.command("rotate")
@_operation
def rotate(node: Operator, as_json: bool) -> None:
    """Give the node a new key. The old key stays valid until the node's first message under the new one.

    An interrupted command loses nothing: call it again.
    """
    from quaver.fleet.procedures import rotate as change

    generation = change(node)
    _noted(node.node.node_id, generation=generation)
    _tell(node, as_json, f"now seals with key {generation}", generation=generation)


@command.command("retire")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@_operation
def retire(node: Operator, as_json: bool, yes: bool) -> None:
    """Take the node out of service.

    It erases its keys, its configuration and its records.
    Its keys stay in the key store, to open its earlier messages; quaver keys remove removes them.
    """
    from quaver.errors import OperationError

    name = node.node.name
    if not yes and click.prompt(f"Everything on {name} will be erased. Type its name to go on", err=True) != name:
        raise OperationError(f"node {name} is not changed: the typed name does not match")
    presence = node.presence
    node.ask("retire", {"confirm": name})
    _noted(node.node.node_id, state="retired")
    left = node.leaves()
    where = f"{presence.prefix if presence else name}/status"
    kept = "" if left else f"; its last status is still at the broker: clear the retained message of {where} there"
    _tell(node, as_json, f"is retired, and erases what it holds{kept}", retired=True, status_cleared=left)


def _noted(node_id: bytes, **changes: Any) -> None:
    """Write to the inventory, if there is one and it has the node."""
    from dataclasses import replace

    from quaver.fleet.inventory import Inventory, default_path

    path = default_path()
    if path.exists():
        with Inventory(path) as inventory:
            entry = inventory.get(node_id)
            if entry is not None:
                inventory.put(replace(entry, **changes))


@command.group("config")
def config() -> None:
    """Read, check, change and roll back the node's configuration."""


@config.command("get", short_help="Show the configuration in use, or one value.")
@click.argument("path", required=False)
@_operation
def config_get(node: Operator, as_json: bool, path: str | None) -> None:
    """Show the configuration in use, or the one value at PATH (broker.host). Passwords are shown as *."""
    from quaver.errors import OperationError
    from quaver.fleet.procedures import read_config

    found: Any = read_config(node)
    for part in path.split(".") if path else ():
        if not isinstance(found, dict) or part not in found:
            raise OperationError(f"{path}: is not set, so the node uses its default")
        found = found[part]
    click.echo(json.dumps(found, indent=None if as_json else 2, ensure_ascii=as_json))


def _parsed(_ctx: click.Context, _parameter: click.Parameter, changes: tuple[str, ...]) -> dict[str, Any]:
    """PATH=VALUE, the value as `value_of` takes it."""
    found: dict[str, Any] = {}
    for change in changes:
        path, mark, text = change.partition("=")
        if not mark or not path:
            raise click.UsageError(f"{change}: expected PATH=VALUE, as in interval_s=30")
        if path.rpartition(".")[2] == "password":
            if text != "-":  # anybody on this machine may read a command line
                raise click.UsageError(f"{path}: write {path}=- and type the password when asked")
            asked = sys.stdin.isatty()
            text = click.prompt(path, hide_input=True, err=True) if asked else sys.stdin.readline().rstrip("\n")
            found[path] = text
            continue
        found[path] = value_of(text)
    return found


# What is mistyped is told before anybody is connected to.
_changes = click.argument("changes", nargs=-1, required=True, metavar="PATH=VALUE…", callback=_parsed)


@config.command("validate", short_help="Ask the node whether it would accept changes.")
@_changes
@_operation
def config_validate(node: Operator, as_json: bool, changes: dict[str, Any]) -> None:
    """Ask the node whether it would accept these changes; nothing is changed."""
    node.ask("config_validate", {"changes": changes})
    _tell(node, as_json, "would accept that", valid=True)


@config.command("set", short_help="Change the configuration, and wait for the node.")
@_changes
@click.option("--what-if", "store", type=StoreType(), metavar="STORE",
              help="First tell what would have alarmed by the records in STORE, and ask for consent.")  # fmt: skip
@click.option("--since", "since_ms", metavar="DATE|AGE", callback=parse_since,
              help="With --what-if: from a date on, in UTC, or an age (30d). By default all.")  # fmt: skip
@click.option("--yes", is_flag=True, help="With --what-if: send it without asking.")
@_operation
def config_set(
    node: Operator, as_json: bool, changes: dict[str, Any], store: Location | None, since_ms: int | None, yes: bool
) -> None:
    """Change the configuration, and wait until the node is back with it.

    The node tries the change: if it can't connect with it within five minutes, it returns to the old configuration and
    reports that. A VALUE of null restores the default, and switches a whole sensor off (energy=null). A password is
    read from the terminal: wifi.password=-
    """
    from quaver.fleet.procedures import set_config

    if store is not None:
        _foresee(node, store, changes, since_ms, yes)
    elif sys.stderr.isatty() and any(path.partition(".")[0] in ("limits", "alarm") for path in changes):
        click.echo("what it would have alarmed: add --what-if STORE", err=True)
    set_config(node, changes)
    _tell(node, as_json, "is back, and uses the new configuration", kept=True)


def _foresee(node: Operator, store: Location, changes: dict[str, Any], since_ms: int | None, yes: bool) -> None:
    """Tell on stderr what the changes would have alarmed, and have somebody agree to them. Raises OperationError."""
    from contextlib import redirect_stdout

    from quaver.cli.what_if import ask, show
    from quaver.errors import OperationError
    from quaver.fleet.procedures import read_config

    answer = ask(store, node.node.name, changes, config=read_config(node), since_ms=since_ms)
    with redirect_stdout(sys.stderr):  # stdout has the result alone
        show(answer, changes)
    if not yes and not click.confirm(f"Send it to {node.node.name}?", err=True):
        raise OperationError(f"node {node.node.name} is not changed")


@config.command("rollback", short_help="Return to the previous configuration.")
@_operation
def config_rollback(node: Operator, as_json: bool) -> None:
    """Return to the configuration before the last change that the node kept."""
    from quaver.fleet.procedures import roll_back

    roll_back(node)
    _tell(node, as_json, "is back with the previous configuration", kept=True)
