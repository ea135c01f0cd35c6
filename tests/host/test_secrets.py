"""What is secret in a URL, a plan or a profile is in no message, trace, log or repr, however wrong it was given."""

import contextlib
import io
import logging
import os
import traceback
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from quaver.broker.address import parse_broker_url
from quaver.cli import main
from quaver.errors import QuaverError
from quaver.fleet.inventory import Inventory
from quaver.fleet.keys import KeyStore
from quaver.provision.identity import Codes, new_code
from quaver.provision.plan import COLUMNS, read_plan, read_profiles

PIECE = 4  # characters of a secret that no output may have
# Letters that stand together in no message, and what divides a URL.
_SECRETS = st.lists(
    st.one_of(st.text("QXZWVJK", min_size=4, max_size=7), st.sampled_from(list("/#?@[]: %\\\"'é\u2028€=&,;\n"))),
    min_size=1,
    max_size=6,
).map("".join)
_URLS = (
    "mqtt://user:{}@127.0.0.1:1",
    "mqtts://user:{}@127.0.0.1:1",
    "user:{}@127.0.0.1:1",
    "mqtt://{}@127.0.0.1:1",
    "mqtt://{}:password@127.0.0.1:1",
    "mqtt://user:{}",
    "mqtt://user:{}@",
    "mqtt://user:{}@127.0.0.1:nonsense",
    "mqtt://user:{}@@127.0.0.1:1",
    "http://user:{}@127.0.0.1:1",
    "mqtt://user:{}@[::1",
    "mqtt://127.0.0.1:1/{}",
    "mqtt://127.0.0.1:1?password={}",
    "mqtt://127.0.0.1:1#{}",
)
# Each command that takes a URL, and the places where one lands by mistake.
_COMMANDS = (
    ("monitor", "--broker", "URL"),
    ("monitor", "--debug", "--broker=URL"),
    ("monitor", "URL"),
    ("monitor", "--brokr=URL"),
    ("monitor", "--count", "URL"),
    ("URL",),
    ("ingest", "--store", "s.sqlite", "--allow-plain", "--broker", "URL"),
    ("gateway", "--nodes", "nodes.json", "--store", "g.sqlite", "--place", "URL"),
    ("emulate", "unix", "--model", "healthy", "--broker", "URL"),
    ("emulate", "URL", "--model", "healthy"),
    ("provision", "--json", "--port", "/dev/null/none", "--broker", "URL"),
    ("provision", "--json", "--port", "/dev/null/none", "--listen", "URL", "--debug"),
    ("provision", "--json", "--port", "/dev/null/none", "--from", "plan.csv", "--broker", "URL"),
    ("node", "pump-7", "measure", "--broker", "URL"),
    ("node", "URL", "measure", "--broker", "127.0.0.1:1"),
    ("node", "pump-7", "config", "set", "URL"),
    ("doctor", "--port", "URL"),
    ("flash", "URL", "--port", "/dev/null/none"),
    ("keys", "create", "URL"),
    ("inventory", "show", "URL"),
    ("analyze", "URL"),
)


def pieces(secret: str) -> set[str]:
    return {secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)}


def leaked(secret: str, *texts: str) -> set[str]:
    """The pieces of a secret that are in a text, as they are or as Python writes them."""
    found = set()
    for piece in pieces(secret):
        if len(set(piece) & set("QXZWVJK")) and any(
            said in text for text in texts for said in (piece, ascii(piece)[1:-1])
        ):
            found.add(piece)
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    KeyStore(folder / "keys").create(bytes(8), "pump-7")
    (folder / "nodes.json").write_text('{"0123456789abcdef": "a/b/c/d/e"}')
    (folder / "plan.csv").write_text("id,name,asset\n0123456789abcdef,pump-7,motor\n")
    environment = {"QUAVER_KEYS": str(folder / "keys"), "QUAVER_INVENTORY": str(folder / "inventory.sqlite")}
    with contextlib.chdir(folder), mock.patch.dict(os.environ, environment):
        yield folder


def told_by(*arguments: str) -> str:
    """All that a command says: both outputs, and the log."""
    out, log = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            code = main(list(arguments))
    finally:
        logging.getLogger().removeHandler(handler)
    assert code, (arguments, out.getvalue())
    return out.getvalue() + log.getvalue()


@pytest.fixture(scope="module")
def hurry() -> Iterator[None]:
    """Nobody waits for a node that can't be there."""
    with mock.patch("quaver.provision.hands._LOOKS_S", (0.0,)):
        yield


def hides(secret: str, url: str) -> bool:
    """Whether the secret is one there: what follows an @ is the host, if nothing else is."""
    return "{}@" in url or "@" not in secret or "/" in url.partition("://")[2].partition("{}")[0]


@given(secret=_SECRETS, url=st.sampled_from(_URLS), extra=st.sampled_from(_COMMANDS))
@example(secret="QXZW/JKVQ", url=_URLS[0], extra=_COMMANDS[0])
@example(secret="QXZW JKVQ", url=_URLS[0], extra=_COMMANDS[2])
@example(secret="QXZWJKVQ", url=_URLS[5], extra=_COMMANDS[5])
@example(secret="QXZW://JKVQ", url=_URLS[2], extra=_COMMANDS[9])
@example(secret="QXZW\u2028JKVQ" * 4, url=_URLS[0], extra=_COMMANDS[7])
@example(secret="%51%58QXZW%", url=_URLS[0], extra=_COMMANDS[1])
def test_no_command_tells_a_piece_of_a_secret(
    home: Path, hurry: None, secret: str, url: str, extra: tuple[str, ...]
) -> None:
    assume(hides(secret, url))
    given_url = url.format(secret)
    said = told_by(*(word.replace("URL", given_url) for word in extra))
    assert not leaked(secret, said), said


@settings(max_examples=settings().max_examples // 3)
@given(secret=_SECRETS, url=st.sampled_from(_URLS))
def test_nor_from_the_environment(home: Path, hurry: None, secret: str, url: str) -> None:
    assume(hides(secret, url))
    value = url.format(secret)
    with mock.patch.dict(os.environ, {"QUAVER_BROKER": value}):
        for command in (("monitor", "--debug"), ("provision", "--json", "--port", "/dev/null/none")):
            said = told_by(*command)
            assert not leaked(secret, said), said


@settings(max_examples=3 * settings().max_examples)
@given(secret=_SECRETS, url=st.sampled_from(_URLS))
def test_nor_the_parser_or_what_it_gives(secret: str, url: str) -> None:
    try:
        assume(hides(secret, url))
        parsed = parse_broker_url(url.format(secret))
    except QuaverError as error:
        assert "expected mqtt://[user:password@]host" in str(error)
        links = [error, error.__cause__, error.__context__]
        assert not leaked(secret, "".join(traceback.format_exception(error)), *map(repr, links), *map(str, links))
    else:
        assert not leaked(secret, str(parsed), repr(parsed))


@pytest.mark.parametrize("mark", "/#?@[ %")
def test_a_password_that_must_be_encoded_is_told_how(mark: str) -> None:
    with pytest.raises(QuaverError, match=rf"must be %-encoded: .*%{ord(mark):02X}"):
        parse_broker_url(f"mqtt://user:pa{mark}ss@host")
    encoded = f"mqtt://user:pa%{ord(mark):02X}ss@host"
    assert parse_broker_url(encoded).password == f"pa{mark}ss"


@given(secret=_SECRETS, column=st.sampled_from(sorted(COLUMNS)), url=st.sampled_from(_URLS))
def test_nor_a_plan_with_a_cell_in_the_wrong_column(home: Path, secret: str, column: str, url: str) -> None:
    assume(hides(secret, url))
    secret = secret.replace('"', "'").replace("\n", "")
    row = {"id": "0123456789abcdef", "name": "pump-7", "asset": "motor", "code": new_code(), "wifi": "plant"}
    row |= {"broker": "mqtt://broker.example", column: url.format(secret)}
    plan = home / "one.csv"
    plan.write_text(",".join(row) + "\n" + ",".join(f'"{cell}"' for cell in row.values()) + "\n")
    with Inventory(home / "inventory.sqlite") as store:
        profiles = {"plant": {"ssid": "plant", "password": "QXZWJKVQ"}}
        _, mistakes = read_plan(plan, profiles, Codes(home / "keys"), store)
    assert not leaked(secret, *map(str, mistakes), *map(repr, mistakes))


def test_nor_a_code_in_the_wrong_column(home: Path) -> None:
    code, plan = new_code(), home / "one.csv"
    plan.write_text(f"id,name,asset,group,wifi\n{code},pump-7,motor,{code},{code}\n")
    with Inventory(home / "inventory.sqlite") as store:
        _, mistakes = read_plan(plan, {}, Codes(home / "keys"), store)
    assert len(mistakes) == 2 and not any(piece in str(mistake) for piece in pieces(code) for mistake in mistakes)


@pytest.mark.parametrize("line", ["password = QXZWJKVQ", 'pasword = "QXZWJKVQ"', 'password = "QXZWJKVQ', "QXZWJKVQ"])
def test_nor_the_wi_fi_profiles(home: Path, line: str) -> None:
    path = home / "wifi.toml"
    path.write_text(f'[plant]\nssid = "plant"\n{line}\n')
    path.chmod(0o600)
    with pytest.raises(QuaverError) as caught:
        read_profiles(path)
    assert not leaked("QXZWJKVQ", "".join(traceback.format_exception(caught.value)))
