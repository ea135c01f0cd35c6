"""`quaver mcp`: the plant for language models."""

from __future__ import annotations

import signal
from pathlib import Path

import click

_GRANTED = ("acknowledge", "comment")


@click.command("mcp")
@click.option("--url", default="http://127.0.0.1:8600", show_default=True, metavar="URL", help="Of quaver serve.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Holds a token that the page has made; without it QUAVER_TOKEN holds one.",
)
@click.option(
    "--ca",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="FILE",
    help="Trust only certificates of this CA (PEM).",
)
@click.option(
    "--grant",
    "granted",
    multiple=True,
    type=click.Choice(_GRANTED),
    help="Let it do this, too, with a token of the scope alarms. May be given several times.",
)
def command(url: str, token_file: Path | None, ca: Path | None, granted: tuple[str, ...]) -> None:
    """Offer the plant to a language model by the Model Context Protocol, over stdin and stdout.

    A client starts it. It asks the page (quaver serve) with a token, so it may what the token's scopes are, and what it
    does stands in the page's audit trail. It only reads, but for what --grant names.
    """
    from quaver.errors import McpError

    try:
        from quaver.mcp.api import Api, read_token
        from quaver.mcp.server import make_server
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "mcp":
            raise
        raise McpError("quaver mcp needs the library mcp; run: pip install 'quaver[mcp]'") from None
    api = Api(url, read_token(token_file), ca)
    api.get("me")  # a wrong address or token is told now, where somebody sees it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)  # else the reader of stdin holds it until its client closes that
    make_server(api, granted).run("stdio")
