"""`quaver ledger`: the account of every node: its stored, missing and unexplained records."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from quaver.cli.ingest import store_option

if TYPE_CHECKING:
    from quaver.store.ledger import Account, Stranger
    from quaver.store.location import Location

_LISTED = 10  # gaps of a node on a terminal; --json has more


@click.command("ledger")
@store_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object per node, with every gap.")
def command(path: Location, as_json: bool) -> int:
    """Show for each node whether records are missing, and which.

    Exits with 1 if a gap is unexplained: sequence numbers that are not in the store, and that the node has not
    reported as dropped or as lost in a power cut.
    """
    from quaver.store.ledger import ledger
    from quaver.store.location import open_records

    with open_records(path, write=False) as store:
        accounts, strangers = ledger(store)
    if as_json:
        for account in accounts:
            click.echo(json.dumps(account.as_json()))
        for stranger in strangers:
            click.echo(json.dumps({"id": stranger.id, "refused": stranger.refused}))
    else:
        _print(accounts, strangers)
    return 1 if any(account.unexplained for account in accounts) else 0


def _print(accounts: Sequence[Account], strangers: Sequence[Stranger]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(markup=False)
    if not accounts and not strangers:
        console.print("no record has arrived yet")
        return
    table = Table(pad_edge=False)
    table.add_column("node", overflow="fold")
    table.add_column("boots", no_wrap=True)
    for heading in ("received", "duplicate", "refused", "dropped", "lost in RAM", "waiting", "unexplained"):
        table.add_column(heading, justify="right")
    for account in accounts:
        boots = "-" if account.boots is None else f"{account.boots[0]} to {account.boots[1]}"
        numbers = (account.received, account.duplicates, sum(account.refused.values()), account.dropped)
        style = "bold red" if account.unexplained else "green"
        lost = Text(str(account.unexplained), style=style)
        table.add_row(account.topic, boots, *map(str, (*numbers, account.lost_in_ram, account.waiting)), lost)
    if accounts:
        console.print(table)
    for account in accounts:
        _details(account)
    for stranger in strangers:
        click.echo(f"node {stranger.id or '(none named)'}, not in this store: refused {_counted(stranger.refused)}")


def _details(account: Account) -> None:
    if account.refused:
        click.echo(f"{account.topic}: refused {_counted(account.refused)}")
    if account.flagged:
        click.echo(f"{account.topic}: {account.flagged} records with a wrong clock, not dated by it")
    if account.by_receipt:
        from quaver.ingest.dating import length

        bound = "the uncertainty is unknown" if account.uncertain_ms is None else (
            f"uncertain by up to {length(account.uncertain_ms)}")  # fmt: skip
        click.echo(
            f"{account.topic}: {account.by_receipt} records dated by receipt, because the node sent no date; {bound}"
        )
    if account.redated:
        click.echo(
            f"{account.topic}: {account.redated} records arrived while this machine's clock was wrong; dated again"
        )
    if account.since is not None and account.since[1]:
        click.echo(f"{account.topic}: accounted for from boot {account.since[0]}, seq {account.since[1]} on")
    if account.deleted:
        click.echo(f"{account.topic}: {account.deleted} records deleted by policy (quaver store retain)")
    for gap in account.gaps[:_LISTED]:
        click.echo(f"{account.topic}: unexplained: {gap}")
    if len(account.gaps) > _LISTED:
        click.echo(f"{account.topic}: unexplained: {len(account.gaps) - _LISTED} more gaps; --json lists them")


def _counted(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
