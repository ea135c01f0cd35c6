"""`quaver monitor`: a live table of the nodes at a broker, or their records as lines."""

from pathlib import Path

import click

from quaver.cli.advice import lang_option
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
    help="Trust only certificates of this CA (PEM), with mqtts://.",
)


@click.command("monitor")
@broker_option
@ca_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per record.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after N records; by default at Ctrl-C.")
@click.option("--sealed", is_flag=True, help="Open sealed records with the keys of this store, and accept no others.")
@lang_option
@keys_option
def command(
    url: str,
    ca: Path | None,
    as_json: bool,
    count: int | None,
    sealed: bool,
    lang: str | None,
    folder: Path | None,
) -> None:
    """Show what nodes publish at a broker: features, levels, alarms, and the health of gateways.

    At an alarm it shows what the verdict means, what to check first, what to do and how urgent it is.

    A message that can't be decoded is counted and reported on stderr; the records after it are still shown.
    """
    from quaver.broker.address import parse_broker_url
    from quaver.cli.ui import Display
    from quaver.messages.monitor import Monitor
    from quaver.messages.record import Record

    opener = None
    if sealed:
        from quaver.messages.sealing import Opener

        store = open_store(folder)
        opener = Opener(store)
        warning = store.warning()
        if warning:
            click.echo(warning, err=True)
    broker = parse_broker_url(url)
    seen = 0
    with (
        Monitor(broker, ca=ca, opener=opener) as monitor,
        Display(as_json, f"watching {broker}", monitor.problems, lang=lang) as display,
    ):
        while count is None or seen < count:
            # A wait with an end lets the table's clock move on and Ctrl-C through.
            item = monitor.get(0.25)
            display.take(item)
            seen += isinstance(item, Record)
