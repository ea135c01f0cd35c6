"""`quaver bridge`: what is stored, for other systems in the standards that they speak."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.bridge.sink import Sink
    from quaver.bridge.spec import Bridge

_FILE = click.argument("path", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")


@click.group("bridge")
def command() -> None:
    """Hand what is stored to other systems: MQTT, Sparkplug B, OPC UA, Home Assistant, metrics, alarms.

    The bridge reads the store that quaver ingest writes, while it is written. Each sink gets every record once, in
    order, over restarts and kills; one that is down holds up no other.
    """


@command.command("new", short_help="Write an example to start from.")
@_FILE
def new(path: Path) -> None:
    """Write an example of a bridge's file, with every key and what it means, to FILE."""
    from quaver.bridge.spec import EXAMPLE
    from quaver.errors import BridgeError

    try:
        with path.open("x") as file:
            file.write(EXAMPLE.read_text())
    except FileExistsError:
        raise BridgeError(f"{path}: exists; name a new file") from None
    except OSError as error:
        raise BridgeError(f"{path}: can't be written ({error.strerror}); name a file in a folder of yours") from error
    click.echo(f"wrote {path}; start it with: quaver bridge run {path}")


@command.command("schema", short_help="Print the JSON Schema of the open messages.")
@click.argument("kind", metavar="KIND", type=click.Choice(("telemetry", "spectrum", "event", "status", "answer")))
def schema(kind: str) -> None:
    """Print the JSON Schema (2020-12) of the messages of a kind; "unit" is a code of UCUM."""
    from quaver.bridge import formats

    click.echo(json.dumps(formats.schema(kind), indent=2))


@command.command("status", short_help="Show how far each sink is.")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(path: Path, as_json: bool) -> None:
    """Show how many records of the store wait for each sink of the bridge in FILE, and how many alarms for a receiver.

    Exit code 0, whatever waits.
    """
    from quaver.bridge.notify.alarms import Alarms
    from quaver.bridge.spec import read_bridge
    from quaver.bridge.state import State
    from quaver.query.source import Source

    bridge = read_bridge(path)
    with Source(bridge.store) as source, State(bridge.state) as state:
        waits = {}
        for name in state.names():
            known = state.get(name)
            assert known is not None
            waits[name] = source.waiting(source.find(known[0]))
    untold = {}
    for table in bridge.notify:
        with Alarms(bridge.state, table.name) as alarms:
            untold[f"notify {table.name}"] = alarms.untold()
    if as_json:
        click.echo(json.dumps({"waiting": waits, "untold": untold}))
    elif not waits:
        click.echo("no sink has begun; start the bridge with quaver bridge run")
    for name, count in waits.items() if not as_json else ():
        told = f", alarms not told yet: {untold[name]}" if untold.get(name) else ""
        click.echo(f"{name}: {count} {'record waits' if count == 1 else 'records wait'}{told}")


@command.command("run", short_help="Run it until Ctrl-C.")
@_FILE
@click.option("--until-done", is_flag=True, help="End when every sink has all that the store has.")
def run(path: Path, until_done: bool) -> None:
    """Hand over what the store has and gets, to the sinks in FILE, until Ctrl-C.

    A new sink begins with the next record, or with the first of the store where the file says begin = "first".
    """
    from quaver.bridge.run import Bridge
    from quaver.bridge.spec import read_bridge

    spec = read_bridge(path)

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    bridge = Bridge(spec.store, spec.state, _sinks(spec, say), say, begin_now=spec.begin == "now")
    with ExitStack() as stack:
        bridge.start()
        stack.callback(bridge.stop)
        if spec.prometheus:
            from quaver.bridge.metrics import Collector, serve

            server, _ = serve(spec.prometheus.listen, Collector(spec.store, bridge.progress))
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            say(f"metrics at http://{server.server_address[0]!s}:{server.server_port}/metrics")
        say(f"handing on what is new in {spec.store}")
        try:
            while bridge.wait(0.25):
                if until_done and bridge.done():
                    break
        except KeyboardInterrupt:
            pass
    for one in bridge.progress:
        say(f"{one.name}: {one.handed} records handed on")


@command.command("alarms", short_help="List what goes on.")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object an alarm.")
def alarms(path: Path, as_json: bool) -> None:
    """List what the [[notify]] tables in FILE have to tell and is not over, and who has acknowledged it."""
    from quaver.bridge.formats import moment
    from quaver.bridge.notify.alarms import Alarms
    from quaver.bridge.spec import read_bridge
    from quaver.messages.record import one_line

    with Alarms(read_bridge(path).state) as state:
        found = {alarm.id: alarm for alarm in state.open()}
    for alarm in found.values():
        since = moment(alarm.since_ms)
        subject = f"fault {alarm.facts.get('subject', '')}" if alarm.subject == "fault" else alarm.subject
        node = one_line(alarm.topic or alarm.node)
        if as_json:
            click.echo(json.dumps({"alarm": alarm.id, "what": alarm.what, "level": alarm.level, "node": node,
                                   "subject": subject, "since": since,
                                   "acknowledged_by": alarm.acknowledged_by}))  # fmt: skip
            continue
        who = f", acknowledged by {one_line(alarm.acknowledged_by)}" if alarm.acknowledged_by else ""
        click.echo(f"{alarm.id}  {since}  {node}: {alarm.level}: {one_line(subject)}{who}")
    if not found and not as_json:
        click.echo("nothing goes on")


@command.command("acknowledge", short_help="Say that somebody looks after an alarm.")
@_FILE
@click.argument("alarm", required=False)
@click.option("--all", "every", is_flag=True, help="All that go on.")
@click.option("--by", "who", metavar="NAME", help="Who looks after it; by default who is logged in here.")
def acknowledge(path: Path, alarm: str | None, every: bool, who: str | None) -> None:
    """Note that somebody looks after ALARM, so that it is not escalated. Its id is in the message that told it."""
    import getpass
    import time

    from quaver.bridge.notify.alarms import Alarms
    from quaver.bridge.spec import read_bridge
    from quaver.errors import BridgeError
    from quaver.messages.record import one_line

    if (alarm is None) != every:
        raise click.UsageError("name one alarm, or --all; quaver bridge alarms FILE lists them")
    try:
        who = who or getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise click.UsageError("this user has no name here: say who it is with --by") from None
    with Alarms(read_bridge(path).state) as state:
        count = state.acknowledge(alarm, one_line(who), time.time_ns() // 1_000_000)
        known = state.find(alarm) if alarm and not count else None
    if known is not None:
        by = known.acknowledged_by
        click.echo(f"{alarm}: {'is over' if known.over else f'was acknowledged before, by {by}'}")
    elif alarm and not count:
        raise BridgeError(f"{one_line(alarm)}: there is no such alarm; quaver bridge alarms {path} lists them")
    else:
        click.echo(f"acknowledged: {count} {'alarm' if count == 1 else 'alarms'}")


def _sinks(spec: Bridge, say: Callable[[str], None]) -> list[Sink]:
    from quaver.bridge.home_assistant import HomeAssistant
    from quaver.bridge.notify.notifier import notifiers
    from quaver.bridge.open_messages import OpenMessages
    from quaver.bridge.state import State

    sinks: list[Sink] = []
    if spec.mqtt:
        with State(spec.state) as state:
            sinks.append(OpenMessages(spec.mqtt, state.identity))
        if spec.mqtt.home_assistant:
            sinks.append(HomeAssistant(spec.mqtt, spec.store))
    if spec.sparkplug:
        from quaver.bridge.sparkplug import SparkplugNode

        sinks.append(SparkplugNode(spec.sparkplug, spec.store, spec.state))
    if spec.opcua:
        from quaver.bridge.opcua import OpcUaNodes

        sinks.append(OpcUaNodes(spec.opcua, spec.store, spec.state))
    sinks += notifiers(spec.notify, spec.store, spec.state, say, spec.begin == "now")
    return sinks
