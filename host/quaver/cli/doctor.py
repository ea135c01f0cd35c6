"""`quaver doctor`: what is wrong with a board, and what to do about it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from quaver.cli.port import port_option

if TYPE_CHECKING:
    from quaver.desk.doctor import Report


@click.command("doctor")
@port_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object: the steps, and the failure with its remedy.")
def command(port: str | None, as_json: bool) -> None:
    """Check a board from its cable to the broker and report the first failure and its remedy.

    The exit code names the failure; docs/doctor.md lists them. The board's firmware is stopped for the check and
    restarted afterwards.
    """
    from rich.console import Console

    from quaver.desk.doctor import examine

    with Console(stderr=True, markup=False).status("opening the port") as status:
        report = examine(port, tell=lambda step: status.update(f"checking: {step}"))
    if as_json:
        click.echo(json.dumps(_as_object(report)))
    else:
        _print_table(report)
    if report.failure is not None:
        raise report.failure


def _as_object(report: Report) -> dict[str, object]:
    from quaver.board.failures import STEPS

    failure = report.failure
    return {
        "steps": [
            {"step": step, "state": report.state(step) or "not reached", "found": report.found.get(step)}
            for step in STEPS
        ],
        "failure": failure
        and {
            "name": failure.known.name,
            "step": failure.known.step,
            "code": failure.exit_code,
            "message": failure.message,
            "remedy": failure.remedy,
            "console": failure.console,
        },
    }


def _print_table(report: Report) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from quaver.board.failures import STEPS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("step", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("found", overflow="fold")
    styles = {"ok": "green", "failed": "bold white on red"}
    for step in STEPS:
        state = report.state(step)
        failed = report.failure.message if report.failure is not None and state == "failed" else ""
        table.add_row(step, Text(state or "-", style=styles.get(state, "dim")), failed or report.found.get(step, ""))
    Console(markup=False).print(table)
    if report.failure is not None and report.failure.console:
        click.echo("the last lines of the board's console:")
        for line in report.failure.console:
            click.echo(f"  {line}")
