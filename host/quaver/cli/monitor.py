"""`quaver monitor`: a live table of the nodes at a broker, or their records as lines."""

from pathlib import Path

import click

from quaver.cli.keys import keys_option, open_store

# What every command takes that listens at a broker.
broker_option = click.option(
    "--broker",
    "url",
    default="mqtt://127.0.0.1:1883",
    envvar="QUAVER_BROKER",
    show_default=True,
    show_envvar=True,
    metavar="URL",
    help="An MQTT 3.1.1 broker: mqtt://[user:password@]host[:port], or mqtts:// for TLS.",
)
ca_option = click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="QUAVER_CA",
    show_envvar=True,
    metavar="FILE",
    help="Trust what this CA signed alone (PEM), with mqtts://.",
)


@click.command("monitor")
@broker_option
@ca_option
@click.option("--json", "as_json", is_flag=True, help="One decoded record a line.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records; otherwise Ctrl-C ends it.")
@click.option("--sealed", is_flag=True, help="Open sealed records with the keys of the store, and take no others.")
@keys_option
def command(url: str, ca: Path | None, as_json: bool, count: int | None, sealed: bool, folder: Path | None) -> None:
    """Watch what nodes publish at a broker: features, levels, alarms; and how gateways are.

    A message that can't be taken is a line on stderr and is counted; the records after it are not touched.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.cli.ui import Display
    from quaver.messages.monitor import Monitor
    from quaver.messages.record import Record

    opener = None
    if sealed:
        from quaver.messages.sealing import Opener

        opener = Opener(open_store(folder))
    broker = parse_broker_url(url)
    seen = 0
    with (
        Monitor(broker, ca=ca, opener=opener) as monitor,
        Display(as_json, f"watching {broker}", monitor.problems) as display,
    ):
        while count is None or seen < count:
            # A wait with an end lets the table's clock move on and Ctrl-C through.
            item = monitor.get(0.25)
            display.take(item)
            seen += isinstance(item, Record)
