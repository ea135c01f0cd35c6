"""`quaver serve`: the page, over the store of `quaver ingest`, or over a plant in a box."""

from __future__ import annotations

import logging
import os
import secrets
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quaver.cli.ingest import StoreType
from quaver.cli.user import state_option

if TYPE_CHECKING:
    from quaver.rollout.desk import Way
    from quaver.serve.run import Tls
    from quaver.store.location import Location

_DEMO_USER = "demo"


@click.command("serve")
@click.option(
    "--store",
    "location",
    type=StoreType(),
    metavar="FILE|URL",
    help="The records: the SQLite file of quaver ingest, or postgresql://USER@HOST/NAME.",
)
@state_option
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8600,
    show_default=True,
    metavar="N",
    help="Where to listen; 0: a free one.",
)
@click.option(
    "--tls-cert",
    "certificate",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Serve over TLS: the certificate with its chain, PEM.",
)
@click.option(
    "--tls-key",
    "key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The certificate's key, PEM.",
)
@click.option(
    "--insecure-network",
    "insecure",
    is_flag=True,
    help="Listen to other machines without TLS: where a proxy in front has it.",
)
@click.option(
    "--broker",
    is_flag=False,
    flag_value="",
    metavar="[URL]",
    help="Run quaver ingest into the store too, from this broker; without URL from QUAVER_BROKER's, where no "
    "process list shows a password.",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --broker: trust only certificates of this CA (PEM).",
)
@click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --broker: the key store; by default in your data folder.",
)
@click.option(
    "--operator",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --broker: let people command nodes and resume rollouts, with the keys of this key store.",
)
@click.option("--name", default="", metavar="TEXT", help="What the plant is called.")
@click.option("--zone", default=None, metavar="ZONE", help="The plant's time zone; by default this machine's.")
@click.option(
    "--plan",
    "plan_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A picture of the plant, and where on it the nodes are.",
)
@click.option(
    "--reports",
    "reports_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Shifts, tariffs, limits and counters of the reports, TOML.",
)
@click.option(
    "--openid",
    "openid_path",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Let people log in at an OpenID provider too; docs/access.md shows the file.",
)
@click.option("--syslog", metavar="HOST[:PORT]", help="Forward security events there: RFC 5424 over TLS.")
@click.option(
    "--syslog-ca",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="With --syslog: trust only certificates of this CA (PEM).",
)
@click.option("--demo", is_flag=True, help="Show a plant in a box; nothing of it stays.")  # fmt: skip
def command(
    location: Location | None,
    folder: Path | None,
    host: str,
    port: int,
    certificate: Path | None,
    key: Path | None,
    insecure: bool,
    broker: str | None,
    ca: Path | None,
    keys: Path | None,
    operator: Path | None,
    name: str,
    zone: str | None,
    plan_path: Path | None,
    reports_path: Path | None,
    openid_path: Path | None,
    syslog: str | None,
    syslog_ca: Path | None,
    demo: bool,
) -> None:
    """Show the plant in a browser, live, and serve its JSON API.

    The page reads the store that quaver ingest writes; with --broker it runs that ingest itself. Its own state (users,
    alarms, roll-ups) lies in the --state folder. Nothing is open by default: at its first start it prints a link, by
    which one person becomes the first admin. Other machines reach it over TLS alone (--host, --tls-cert, --tls-key).
    """
    if demo and (location or broker is not None or folder):
        raise click.UsageError("--demo brings a plant, a store and a state of its own: leave the others out")
    if not demo and location is None:
        raise click.UsageError("give the store of quaver ingest with --store, or look at a plant in a box with --demo")
    if (certificate is None) != (key is None):
        raise click.UsageError("--tls-cert and --tls-key go together")
    if (ca or keys or operator) and broker is None:
        raise click.UsageError("--ca, --keys, --operator: give --broker too")
    if syslog_ca and not syslog:
        raise click.UsageError("--syslog-ca: give --syslog too")
    from quaver.access.base import default_folder
    from quaver.serve.run import Tls, check_certificate, check_zone, listen, server, services

    logging.basicConfig(format="quaver: %(message)s", level=logging.WARNING)
    parts: dict[str, Any] = {"zone": check_zone(zone or _own_zone()), **_parts(plan_path, reports_path, openid_path)}
    receiver = None
    if syslog:
        from quaver.serve.syslog import parse_receiver

        receiver = parse_receiver(syslog, syslog_ca)
    tls: Tls | None = None
    if certificate and key:
        tls = Tls(certificate, key)
        check_certificate(tls)
    with ExitStack() as stack:
        clock: Callable[[], int] | None = None
        listening = stack.enter_context(listen(host, port, tls, insecure))
        if demo:
            from quaver.serve.demo import Demo

            box = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quaver-demo-")))
            _say("starting a plant of 8 emulated nodes")
            plant = stack.enter_context(Demo(box / "plant"))
            location, folder, clock, name = plant.store, box / "page", plant.clock_ms, name or "demo works"
            parts["inventory"] = box / "inventory.sqlite"  # not this user's own
        assert location is not None
        if broker is not None:
            url = _broker(broker)
            parts["way"] = _way(operator, url, ca) if operator is not None else None
            stack.enter_context(_ingest(location, url, ca, keys))
        found = stack.enter_context(
            services(
                location, folder or default_folder(), say=_say, clock_ms=clock, receiver=receiver, name=name, **parts
            )
        )
        address = f"{'https' if tls else 'http'}://{_shown(host)}:{listening.getsockname()[1]}"
        _welcome(found.access, address, demo)
        with suppress(KeyboardInterrupt):
            server(found, tls).run(sockets=[listening])
    _say("ended")


def _say(line: str) -> None:
    click.echo(f"quaver: {line}", err=True)


def _shown(host: str) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  what a person opens in its place
    return f"[{host}]" if ":" in host else host


def _own_zone() -> str:
    """This machine's, by the link that systems have; UTC where there is none."""
    if os.environ.get("TZ"):
        return os.environ["TZ"].removeprefix(":")
    target = os.path.realpath("/etc/localtime")
    return target.partition("/zoneinfo/")[2] or "UTC"


def _parts(plan: Path | None, reports: Path | None, openid: Path | None) -> dict[str, Any]:
    """What the files say that somebody has given; what is wrong with one is told before anything begins."""
    found: dict[str, Any] = {}
    if plan is not None:
        from quaver.serve.plan import read_plan

        found["plan"] = read_plan(plan)
    if reports is not None:
        from quaver.reports.spec import read_spec

        found["reports"] = read_spec(reports)
    if openid is not None:
        from quaver.access import openid as provider

        found["openid"] = provider.OpenId(provider.read_plan(openid))
    return found


def _broker(given: str) -> str:
    from quaver.broker.address import parse_broker_url

    url = given or os.environ.get("QUAVER_BROKER", "")
    if not url:
        raise click.UsageError("--broker: give its URL, or put it into QUAVER_BROKER")
    parse_broker_url(url)
    return url


def _way(operator: Path, url: str, ca: Path | None) -> Way:
    from quaver.broker.address import parse_broker_url
    from quaver.errors import KeyStoreError
    from quaver.fleet.keys import KeyStore
    from quaver.rollout.desk import Way

    keys = KeyStore(operator)
    if not keys.path.exists():
        raise KeyStoreError(f"--operator {operator}: holds no key store; name the folder that --keys names elsewhere")
    keys.refresh()
    return Way(keys, parse_broker_url(url), ca)


def _ingest(location: Location, url: str, ca: Path | None, keys: Path | None) -> Any:
    """The ingest of the store, as a program beside the page. Its broker's password is in no argument."""
    from quaver.serve.child import Kept
    from quaver.store.location import open_records

    open_records(location).close()  # made where it is missing, so that there is something to read
    program = [sys.executable, "-m", "quaver.cli", "ingest", "--store", str(location)]
    program += ["--ca", str(ca)] if ca else []
    program += ["--keys", str(keys)] if keys else []
    return Kept("ingest", program, {"QUAVER_BROKER": url}, _say)


def _welcome(access: Any, address: str, demo: bool) -> None:
    if demo:
        password = secrets.token_urlsafe(12)
        access.users.add(_DEMO_USER, "admin", password, by="demo")
        _say(f"the plant is at {address}  user {_DEMO_USER}, password {password}")
        return
    _say(f"the page is at {address}")
    link = access.first_link()
    if link:
        _say(f"there is no admin yet; become the first one within an hour: {address}/#/first/{link}")
