"""`quaver bridge`: what is stored, for other systems in the standards that they speak."""

from __future__ import annotations

import json
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
    """Hand what is stored to other systems: open MQTT, Sparkplug B, Home Assistant, Prometheus.

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
@click.argument("kind", type=click.Choice(("telemetry", "spectrum", "event", "status", "answer")))
def schema(kind: str) -> None:
    """Print the JSON Schema (2020-12) of the messages of a kind; "unit" is a code of UCUM."""
    from quaver.bridge import formats

    click.echo(json.dumps(formats.schema(kind), indent=2))


@command.command("status", short_help="Show how far each sink is.")
@_FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status(path: Path, as_json: bool) -> None:
    """Show how many records of the store wait for each sink of the bridge in FILE. Exit code 0, whatever waits."""
    from quaver.bridge.source import Source
    from quaver.bridge.spec import read_bridge
    from quaver.bridge.state import State

    bridge = read_bridge(path)
    with Source(bridge.store) as source, State(bridge.state) as state:
        waits = {}
        for name in state.names():
            known = state.get(name)
            assert known is not None
            waits[name] = source.waiting(source.find(known[0]))
    if as_json:
        click.echo(json.dumps({"waiting": waits}))
    elif not waits:
        click.echo("no sink has begun; start the bridge with quaver bridge run")
    for name, count in waits.items() if not as_json else ():
        click.echo(f"{name}: {count} {'record waits' if count == 1 else 'records wait'}")


@command.command("run", short_help="Run it until Ctrl-C.")
@_FILE
@click.option("--until-done", is_flag=True, help="End when every sink has all that the store has.")
def run(path: Path, until_done: bool) -> None:
    """Hand over what the store has and gets, to the sinks in FILE, until Ctrl-C.

    A new sink begins with the next record, or with the first of the store where the file says begin = "first".
    """
    from quaver.bridge.run import Bridge
    from quaver.bridge.source import Source
    from quaver.bridge.spec import read_bridge

    spec = read_bridge(path)

    def say(line: str) -> None:
        click.echo(f"quaver: {line}", err=True)

    bridge = Bridge(spec.store, spec.state, _sinks(spec), say, begin_now=spec.begin == "now")
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
                if until_done:
                    with Source(spec.store) as source:
                        if all(one.up and not source.waiting(one.place) for one in bridge.progress):
                            break
        except KeyboardInterrupt:
            pass
    for one in bridge.progress:
        say(f"{one.name}: {one.handed} records handed on")


def _sinks(spec: Bridge) -> list[Sink]:
    from quaver.bridge.home_assistant import HomeAssistant
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
    return sinks
