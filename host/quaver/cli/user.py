"""`quaver user`: the page's users, for whoever has the machine and may be locked out of the page."""

from __future__ import annotations

import getpass
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from quaver.access.access import Access

state_option = click.option(
    "--state",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="QUAVER_PAGE",
    show_envvar=True,
    metavar="FOLDER",
    help="The page's state; by default in your data folder.",
)
_role_option = click.option("--role", required=True, metavar="ROLE", help="viewer, technician, engineer or admin.")
_password_option = click.option(
    "--password-file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Take the password from FILE, its first line; else it is asked for.",
)


@click.group("user")
def command() -> None:
    """Add and list the page's users, and set roles and passwords, also when nobody can log in any more.

    What is done here stands in the audit trail. It holds at once, for a page that is open too.
    """


@command.command("add", short_help="Add a user.")
@click.argument("name")
@_role_option
@_password_option
@state_option
def add(name: str, role: str, file: Path | None, folder: Path | None) -> None:
    """Add a user, with a password of their own.

    A viewer reads; a technician acknowledges alarms and commands nodes too; an engineer configures them too; an admin
    does everything, users included.
    """
    from quaver.access.users import check_role, user_name

    name, role = user_name(name), check_role(role)
    with _access(folder, fresh=True) as access:
        user = access.users.add(name, role, _password(file), by=_operator())
    click.echo(f"{user.name}  {user.role}")


@command.command("list", short_help="List the users.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per user.")
@state_option
def list_(as_json: bool, folder: Path | None) -> None:
    """List the users: name, role, and whether they are disabled."""
    with _access(folder) as access:
        users = access.users.all()
    if as_json:
        for user in users:
            known = {"name": user.name, "role": user.role, "language": user.language, "disabled": user.disabled}
            click.echo(json.dumps(known | {"password": user.local, "made": int(user.made)}))
        return
    for user in users:
        words = (user.name, user.role, time.strftime("%Y-%m-%d", time.gmtime(user.made)))
        kind = "" if user.local else "  of the OpenID provider"
        click.echo(f"{words[0]:24}  {words[1]:10}  {words[2]}{kind}{'  disabled' if user.disabled else ''}")
    if not users:
        click.echo("there is no user; add one with: quaver user add NAME --role admin")


@command.command("role", short_help="Give a user another role.")
@click.argument("name")
@click.argument("role")
@state_option
def role_(name: str, role: str, folder: Path | None) -> None:
    """Give a user another role. It ends their sessions: they log in again."""
    with _access(folder) as access:
        access.users.set_role(name, role, by=_operator())
        user = access.users.get(name)
    click.echo(f"{user.name}  {user.role}")


@command.command("password", short_help="Give a user another password.")
@click.argument("name")
@_password_option
@state_option
def password(name: str, file: Path | None, folder: Path | None) -> None:
    """Give a user another password. It ends their sessions, and the wait after failed logins."""
    with _access(folder) as access:
        user = access.users.get(name)
        access.users.set_password(user.name, _password(file), by=_operator())
    click.echo(f"{user.name}: the password is set, and all sessions are ended")


@command.command("disable", short_help="Shut a user out.")
@click.argument("name")
@state_option
def disable(name: str, folder: Path | None) -> None:
    """Shut a user out: sessions end, tokens are refused. An admin lets them in again on the page."""
    with _access(folder) as access:
        user = access.users.get(name)
        access.users.set_disabled(user.name, True, by=_operator())
    click.echo(f"{user.name}: disabled, and all sessions are ended")


@command.command("remove", short_help="Delete a user and what is kept of them.")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@state_option
def remove(name: str, yes: bool, folder: Path | None) -> None:
    """Delete a user: role, password, sessions, tokens, and the addresses from which they logged in.

    Their name in the list of alarms becomes "removed user". The audit trail keeps it until its rows are deleted for
    their age: quaver audit delete. An OpenID provider that gives them a role lets them in again at their next login.
    """
    from quaver.alarms.base import forget_person

    with _access(folder) as access:
        user = access.users.get(name)
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("there is no terminal to ask: say --yes")
            click.confirm(f"Delete {user.name}, {user.role}, for ever?", abort=True, err=True)
        access.users.remove(user.name, by=_operator())
        changed = forget_person(access.folder / "alarms.sqlite", user.name)
    click.echo(f"{user.name}: removed; {changed} rows of the alarms no longer name them")


def _access(folder: Path | None, fresh: bool = False) -> Access:
    from quaver.access.access import Access
    from quaver.access.base import NAME, default_folder
    from quaver.errors import AccessError

    folder = folder or default_folder()
    if not fresh and not (folder / NAME).exists():
        raise AccessError(f"{folder}: holds no users; name the folder of quaver serve with --state")
    return Access(folder)


def _operator() -> str:
    """Who is at this machine: no user of the page."""
    return f"console ({getpass.getuser()})"


def _password(file: Path | None) -> str:
    from quaver.access.passwords import SHORTEST, read_password

    if file is not None:
        return read_password(file)
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask for the password: name a file with --password-file")
    answer: str = click.prompt(
        f"Password, at least {SHORTEST} characters", hide_input=True, confirmation_prompt=True, err=True
    )
    return answer
