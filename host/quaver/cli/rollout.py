"""`quaver rollout`: one release for many nodes, in waves, which stops by itself before it does harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quaver.cli.inventory import inventory_option, open_inventory
from quaver.cli.keys import keys_option, open_store
from quaver.cli.monitor import broker_option, ca_option

if TYPE_CHECKING:
    from quaver.fleet.inventory import Entry
    from quaver.fleet.keys import KeyStore
    from quaver.release.bundle import Release
    from quaver.rollout.state import Rollout, Rollouts

_STATE = click.option(
    "--rollouts",
    "state",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="QUAVER_ROLLOUTS",
    show_envvar=True,
    metavar="FILE",
    help="The SQLite file with the state of rollouts; by default in your data folder.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON object, with every node.")


@click.group("rollout")
def command() -> None:
    """Bring a release to many nodes in waves: one canary, then 5, 25 and 100 %.

    It pauses by itself: when the canary fails, when 3 nodes or 2 % of all fail, when an updated node restarts again and
    again, runs short of memory, or has a new alarm.

    \b
    exit code 0    every node has the release
             21    it can't be started, or its state can't be used
             22    it is paused; quaver rollout resume goes on
             23    it ended, or was aborted, and left nodes without the release
    """


@command.command("start", short_help="Start a rollout, and run it.")
@click.argument("release", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--to", "selectors", multiple=True, required=True, metavar="SELECTOR",
              help="Which nodes of the inventory: SITE/AREA/LINE/ASSET/NODE, with * for any and less at the end for "
              "all below: plant/hall, or plant/*/*/*/pump-*. Repeat it for several.")  # fmt: skip
@click.option("--concurrency", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
              help="How many nodes are under way at once.")  # fmt: skip
@click.option("--watch", type=click.FloatRange(0, 604_800), default=600.0, show_default=True, metavar="SECONDS",
              help="How long a node is watched once it has confirmed the release.")  # fmt: skip
@click.option("--step", type=click.FloatRange(1, 604_800), default=1800.0, show_default=True, metavar="SECONDS",
              help="A node that takes no step for so long has failed.")  # fmt: skip
@click.option("--expires", type=click.FloatRange(1, 31_536_000), metavar="SECONDS",
              help="How long nodes that are offline may return and get it. By default until the release "
              "expires.")  # fmt: skip
@click.option("--window", "windows", multiple=True, metavar="TIMES",
              help="Tell nodes only then, by this machine's local time: 22:00-05:00, or \"Mon-Fri 22:00-05:00\". "
              "Repeat it for several.")  # fmt: skip
@_STATE
@inventory_option
@keys_option
@broker_option
@ca_option
@_JSON
def start(
    release: Path,
    selectors: tuple[str, ...],
    concurrency: int,
    watch: float,
    step: float,
    expires: float | None,
    windows: tuple[str, ...],
    state: Path | None,
    path: Path | None,
    folder: Path | None,
    url: str,
    ca: Path | None,
    as_json: bool,
) -> int:
    """Start to bring the release in the file RELEASE to the nodes that SELECTOR names, and run until it is over.

    The release must be at the nodes' broker: quaver release publish. Of each wave, one node of an asset is updated at a
    time. A wave begins when the last one has gone well. A node that fails is tried once more, then it is left alone. A
    node that is offline gets the release when it returns.

    Ctrl-C, or a kill, leaves the rollout as it is: nodes go on by themselves, and the same command, or quaver rollout
    resume, goes on with it.
    """
    import time

    from quaver.broker.address import parse_broker_url
    from quaver.release.bundle import read_release
    from quaver.rollout.engine import RUNNING, Rules
    from quaver.rollout.plan import select
    from quaver.rollout.run import online, planned
    from quaver.rollout.state import not_over
    from quaver.rollout.windows import parse_window

    found = read_release(release)
    until = _checked(found)
    broker = parse_broker_url(url)
    for text in windows:
        parse_window(text)
    keys = open_store(folder)
    with open_inventory(path) as inventory:
        entries = select(inventory.entries(), selectors)
    with _open(state) as rollouts:
        _claim(rollouts)
        last = rollouts.last()
        if last is not None and last.state == RUNNING:  # it was killed: this is the same command again
            if last.envelopes == found.envelopes and last.selectors == selectors:
                return _run(rollouts, last, keys, broker=url, ca=ca, as_json=as_json)
            raise not_over(last)
        _check_down(found, entries, rollouts.runs())
        left_out = _left_out(found, entries, keys)
        nodes = {entry.id: entry.prefix for entry in entries}
        members = planned(nodes, online(broker, ca, keys, nodes.values()), left_out, found.envelopes[0])
        rollout = rollouts.start(
            sequence=found.manifest.sequence,
            version=found.manifest.version,
            envelopes=found.envelopes,
            selectors=selectors,
            windows=windows,
            rules=Rules(concurrency, step, watch, min(until, time.time() + expires) if expires else until),
            members=members,
        )
        return _run(rollouts, rollout, keys, broker=url, ca=ca, as_json=as_json)


@command.command("status", short_help="Show how far the last rollout is.")
@_STATE
@_JSON
def status(state: Path | None, as_json: bool) -> None:
    """Show how far the last rollout is, and every node that is under way or did not go well."""
    from rich.console import Console

    from quaver.cli import rollout_view as view
    from quaver.rollout.engine import RUNNING

    with _open(state) as rollouts:
        rollout = rollouts.known()
        members = rollouts.members(rollout.number)
        alone = rollout.state == RUNNING and rollouts.claim()
    why = "no program runs it: quaver rollout resume goes on" if alone else rollout.why
    if as_json:
        click.echo(json.dumps(view.as_json(rollout, members, rollout.state, why)))
        return
    Console(markup=False).print(
        view.table(rollout, members, rollout.state, why, offline=None, lines=len(members)), soft_wrap=False
    )


@command.command("pause", short_help="Tell no more nodes.")
@_STATE
def pause(state: Path | None) -> None:
    """Tell no more nodes to take the release. Those under way come to their end."""
    with _open(state) as rollouts:
        rollout = rollouts.pause("by quaver rollout pause")
    click.echo(f"rollout {rollout.number} is paused; quaver rollout resume goes on")


@command.command("abort", short_help="End the rollout where it is.")
@_STATE
def abort(state: Path | None) -> None:
    """End the rollout. Nodes that have the release keep it, those under way go on by themselves."""
    from quaver.cli.rollout_view import summary
    from quaver.errors import RolloutError
    from quaver.rollout.engine import ABORTED, PAUSED, RUNNING

    with _open(state) as rollouts:
        rollout = rollouts.known()
        if rollout.state not in (RUNNING, PAUSED):
            raise RolloutError(f"rollout {rollout.number} is {rollout.state}: there is nothing to abort")
        rollouts.set_state(rollout.number, ABORTED, "by quaver rollout abort")
        members = rollouts.members(rollout.number)
    click.echo(f"rollout {rollout.number} is aborted: {summary(members)}")


@command.command("resume", short_help="Go on with a rollout.")
@_STATE
@keys_option
@broker_option
@ca_option
@_JSON
def resume(state: Path | None, folder: Path | None, url: str, ca: Path | None, as_json: bool) -> int:
    """Go on with a rollout that was paused, or whose program has ended, and run it until it is over.

    The failures until now no longer count. A node that failed twice stays in the penalty box.
    """
    keys = open_store(folder)
    with _open(state) as rollouts:
        rollout = rollouts.resumable()
        return _run(rollouts, rollout, keys, broker=url, ca=ca, as_json=as_json)


def _open(path: Path | None) -> Rollouts:
    from quaver.rollout.state import Rollouts, default_path

    return Rollouts(path or default_path())


def _claim(rollouts: Rollouts) -> None:
    from quaver.errors import RolloutError

    if not rollouts.claim():
        raise RolloutError(f"{rollouts.path}: another program runs a rollout; see quaver rollout status, or pause it")


def _run(rollouts: Rollouts, rollout: Rollout, keys: KeyStore, *, broker: str, ca: Path | None, as_json: bool) -> int:
    from quaver.broker.address import parse_broker_url
    from quaver.cli import rollout_view as view
    from quaver.errors import RolloutIncomplete, RolloutPaused
    from quaver.rollout.engine import PAUSED, UPDATED
    from quaver.rollout.run import Runner

    with view.Progress(rollout, quiet=as_json) as progress:
        runner = Runner(rollouts, rollout, keys, progress.show, resume=rollout.state == PAUSED)
        try:
            runner.run(parse_broker_url(broker), ca)
        except KeyboardInterrupt:
            click.echo(f"rollout {rollout.number} is left as it is; quaver rollout resume goes on", err=True)
            raise
    engine = runner.engine
    members = list(engine.members.values())
    if as_json:
        click.echo(json.dumps(view.as_json(rollout, members, engine.state, engine.why)))
    told = f"rollout {rollout.number}: {view.summary(members)}"
    if engine.state == PAUSED:
        raise RolloutPaused(f"{told}; paused: {engine.why}; go on with quaver rollout resume, or abort it")
    if any(member.state != UPDATED for member in members):
        raise RolloutIncomplete(f"{told}; quaver rollout status tells why")
    if not as_json:
        click.echo(told)
    return 0


def _checked(release: Release) -> float:
    """Until when nodes take a release, s since 1970. Raises ReleaseError for one that no node would take."""
    from quaver.release.signing import default_key, public_of, read_public_key

    public = public_of(default_key())
    if public.exists():
        release.verify(read_public_key(public))
    else:
        release.check_expiry()
    return float(release.manifest.expires)


def _check_down(release: Release, entries: list[Entry], runs: dict[bytes, int]) -> None:
    """Raise RolloutError where nodes run a later release, and this one is not signed for them to step down."""
    from quaver.errors import RolloutError

    number = release.manifest.sequence
    later = [e for e in entries if runs.get(e.id, 0) > number and e.id not in release.manifest.downgrade]
    if later:
        raise RolloutError(
            f"release {number} is older than what {len(later)} of the nodes run ({later[0].prefix}: "
            f"{runs[later[0].id]}), and not signed for them to step down: build it with --step-down {later[0].id.hex()}"
            f"{' …' if len(later) > 1 else ''}, or leave them out"
        )


def _left_out(release: Release, entries: list[Entry], keys: KeyStore) -> dict[bytes, str]:
    """Which nodes can't get the release, and why."""
    boards = release.manifest.boards
    found = {}
    for entry in entries:
        if keys.get(entry.id) is None:
            found[entry.id] = f"has no key in {keys.path}"
        elif entry.board is not None and entry.board not in boards:
            found[entry.id] = f"the release is not for its board, {entry.board}"
    return found
