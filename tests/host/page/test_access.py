"""Users, sessions, tokens and limits of the page, over one file."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from quaver.access.access import FIRST_S, Access
from quaver.access.audit import Verdict
from quaver.access.base import NAME
from quaver.access.limits import BY_ADDRESS, BY_USER, network
from quaver.access.passwords import OWASP, Cost, Passwords
from quaver.access.roles import ROLES, SCOPES
from quaver.access.sessions import ABSOLUTE_S, IDLE_S, csrf
from quaver.errors import AccessError, LoginNeeded, TooOften

CHEAP = Cost(passes=1, memory_kib=8, lanes=1)
GOOD, OTHER = "four words are long", "other words are long"
HERE, THERE = "192.0.2.1", "198.51.100.7"


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path: Path, clock: Clock) -> Iterator[Access]:
    with Access(tmp_path, CHEAP, clock) as access:
        access.users.add("anna", "admin", GOOD, by="test")
        access.users.add("vera", "viewer", GOOD, by="test")
        yield access


def said(access: Access) -> list[tuple[str, str, str]]:
    return [(row.who, row.what, row.about) for row in reversed(access.audit.rows())]


def wrong(access: Access, times: int, name: str = "anna", address: str = HERE) -> None:
    for _ in range(times):
        with pytest.raises(LoginNeeded, match="the name or the password is wrong"):
            access.login(name, "not the right words", address)


# ---- passwords


def test_the_cost_of_a_hash_is_what_owasp_asks_for_and_stands_in_it() -> None:
    assert Cost(passes=2, memory_kib=19 * 1024, lanes=1) == OWASP
    assert Passwords().hash(GOOD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_a_hash_of_another_cost_holds_and_is_made_anew_at_the_next_login(access: Access, tmp_path: Path) -> None:
    with Access(tmp_path, Cost(2, 16, 1)) as dearer:
        dearer.login("anna", GOOD, HERE)
        with sqlite3.connect(tmp_path / NAME) as base:
            assert "m=16,t=2" in base.execute("SELECT hash FROM user WHERE name = 'anna'").fetchone()[0]
        dearer.login("anna", GOOD, HERE)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("short words", "12 to 256 characters"),
        ("x" * 257, "12 to 256 characters"),
        ("aAaAaAaAaAaA", "5 different"),
        ("my name is Anna", "user's name"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused(access: Access, password: str, words: str) -> None:
    with pytest.raises(AccessError, match=words):
        access.users.set_password("anna", password, by="test")
    access.login("anna", GOOD, HERE)


def test_one_password_is_one_however_a_keyboard_composes_it(access: Access) -> None:
    access.users.set_password("anna", "gr\u00fcne \u00c4pfel im Mai", by="test")
    access.login("anna", "gru\u0308ne A\u0308pfel im Mai", HERE)


def test_no_secret_is_in_the_folder(access: Access, tmp_path: Path) -> None:
    secret = access.login("anna", GOOD, HERE)
    who = access.sessions.who(secret)
    assert who is not None
    token, _ = access.tokens.make(who, "a script", ["read"], 1)
    access.audit.write("anna", "test", "", {"password": GOOD, "token": token, "kept": 1})
    wrong(access, 1, name="typed-into-the-wrong-field")
    with pytest.raises(LoginNeeded):
        access.login("vera", "typed-into-the-wrong-field", HERE)
    held = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    for word in (GOOD, secret, csrf(secret), token, "typed-into-the-wrong-field"):
        assert word.encode() not in held
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


# ---- users


@pytest.mark.parametrize("name", ["", " ", "a b", "a\nb", "-x", "x" * 65, "<b>", "a/b", "a'b"])
def test_what_is_no_name_is_refused(access: Access, name: str) -> None:
    with pytest.raises(AccessError, match="a user's name has"):
        access.users.add(name, "viewer", GOOD, by="test")


def test_a_name_is_one_whatever_its_letters_look_like(access: Access) -> None:
    with pytest.raises(AccessError, match="user anna exists"):
        access.users.add(" A\uff4eNA ", "viewer", GOOD, by="test")
    assert access.users.add("J\u00f6rg@plant", "viewer", GOOD, by="test").name == "j\u00f6rg@plant"


def test_the_last_admin_stays(access: Access) -> None:
    with pytest.raises(AccessError, match="last admin"):
        access.users.set_role("anna", "viewer", by="anna")
    with pytest.raises(AccessError, match="last admin"):
        access.users.set_disabled("anna", True, by="anna")
    access.users.set_role("vera", "admin", by="anna")
    access.users.set_disabled("anna", True, by="vera")
    with pytest.raises(AccessError, match="last admin"):
        access.users.set_disabled("vera", True, by="vera")


def test_roles_have_each_the_scopes_of_the_one_below() -> None:
    assert list(ROLES) == ["viewer", "technician", "engineer", "admin"] and ROLES["admin"] == SCOPES
    sets = [set(scopes) for scopes in ROLES.values()]
    assert all(below < above for below, above in pairwise(sets))


# ---- sessions


def test_a_session_ends_when_idle_and_after_its_longest_life(access: Access, clock: Clock) -> None:
    secret = access.login("anna", GOOD, HERE)
    began = clock.now
    clock.now += IDLE_S - 1
    who = access.sessions.who(secret)
    assert who is not None and who.session is not None and who.name == "anna" and who.scopes == set(SCOPES)
    access.sessions.touch(who.session)
    while clock.now < began + ABSOLUTE_S - IDLE_S:
        clock.now += IDLE_S - 1
        assert access.sessions.who(secret)
        access.sessions.touch(who.session)
    clock.now = began + ABSOLUTE_S
    access.sessions.touch(who.session)
    assert access.sessions.who(secret) is None
    secret = access.login("anna", GOOD, HERE)
    clock.now += IDLE_S
    assert access.sessions.who(secret) is None
    clock.now -= ABSOLUTE_S * 2  # a clock that was set back makes no session live longer
    assert access.sessions.who(secret) is None


def test_each_login_has_a_secret_of_its_own_and_ends_the_one_that_the_browser_had(access: Access) -> None:
    first = access.login("vera", GOOD, HERE)
    who = access.sessions.who(first)
    assert who is not None
    second = access.login("anna", GOOD, HERE, former=who.session)
    assert access.sessions.who(first) is None and access.sessions.who(second)
    assert first != second and csrf(first) != csrf(second) and len(second) == 43


@pytest.mark.parametrize("end", ["logout", "password", "role", "disable"])
def test_what_ends_sessions(access: Access, end: str) -> None:
    secrets = [access.login("vera", GOOD, HERE) for _ in range(2)]
    who = access.sessions.who(secrets[0])
    assert who is not None
    fresh = ""
    match end:
        case "logout":
            access.logout(who)
        case "password":
            fresh = access.change_password(who, GOOD, OTHER, HERE)
        case "role":
            access.users.set_role("vera", "engineer", by="anna")
        case "disable":
            access.users.set_disabled("vera", True, by="anna")
    assert access.sessions.who(secrets[0]) is None
    assert bool(access.sessions.who(secrets[1])) == (end == "logout")
    assert bool(fresh and access.sessions.who(fresh)) == (end == "password")
    assert access.audit.verify().rows == len(said(access)) and not access.audit.verify().broken


def test_who_is_disabled_does_not_come_in_with_the_right_password(access: Access) -> None:
    access.users.set_disabled("vera", True, by="anna")
    with pytest.raises(LoginNeeded, match="the name or the password is wrong"):
        access.login("vera", GOOD, HERE)
    access.users.set_disabled("vera", False, by="anna")
    access.login("vera", GOOD, HERE)


def test_a_user_has_so_many_sessions_and_no_more(access: Access, clock: Clock) -> None:
    secrets = []
    for _ in range(22):
        secrets.append(access.login("vera", GOOD, HERE))
        clock.now += 1
    assert [bool(access.sessions.who(secret)) for secret in secrets] == [False] * 2 + [True] * 20


def test_a_wrong_password_changes_none(access: Access) -> None:
    who = access.sessions.who(access.login("vera", GOOD, HERE))
    assert who is not None
    with pytest.raises(LoginNeeded):
        access.change_password(who, OTHER, OTHER, HERE)
    access.login("vera", GOOD, HERE)
    assert said(access)[-2:] == [("", "password change failed", "vera"), ("vera", "login", "vera")]


# ---- tokens


def test_a_token_does_what_its_maker_may_and_it_was_made_for(access: Access, clock: Clock) -> None:
    access.users.add("tim", "engineer", GOOD, by="anna")
    tim = access.sessions.who(access.login("tim", GOOD, HERE))
    assert tim is not None
    secret, token = access.tokens.make(tim, " a  script ", ["configure", "read"], 30)
    assert token.title == "a script" and token.scopes == ("read", "configure")
    who = access.tokens.who(secret)
    assert who is not None and who.name == "tim" and who.token == token.number
    assert who.may("read") and who.may("configure") and not who.may("alarms") and not who.may("admin")
    access.users.set_role("tim", "viewer", by="anna")
    who = access.tokens.who(secret)
    assert who is not None and who.scopes == {"read"}
    access.users.set_disabled("tim", True, by="anna")
    assert access.tokens.who(secret) is None
    access.users.set_disabled("tim", False, by="anna")
    access.tokens.touch(token.number)
    assert access.tokens.all("tim")[0].used == clock.now
    clock.now += 30 * 86_400
    assert access.tokens.who(secret) is None and len(access.tokens.all("tim")) == 1


@pytest.mark.parametrize(
    ("title", "scopes", "days"),
    [("x", ["alarms"], 1), ("x", [], 1), ("x", ["read", "nonsense"], 1), ("", ["read"], 1), ("x", ["read"], 367)],
)
def test_what_is_no_token_is_refused(access: Access, title: str, scopes: list[str], days: int) -> None:
    vera = access.sessions.who(access.login("vera", GOOD, HERE))
    assert vera is not None
    with pytest.raises(AccessError):
        access.tokens.make(vera, title, scopes, days)
    assert access.tokens.all() == []


def test_a_token_is_ended_by_its_maker_or_an_admin_alone(access: Access) -> None:
    vera = access.sessions.who(access.login("vera", GOOD, HERE))
    assert vera is not None
    secret, token = access.tokens.make(vera, "x", ["read"], 1)
    with pytest.raises(AccessError, match="no token 1 of yours"):
        access.tokens.end(token.number, by="anna", user="anna")
    assert access.tokens.who(secret)
    access.tokens.end(token.number, by="anna")
    assert access.tokens.who(secret) is None
    assert said(access)[-1] == ("anna", "token ended", "token 1")
    assert access.tokens.make(vera, "x", ["read"], 1)[1].number == 2  # in the trail, a number is one token


# ---- limits


def test_wrong_passwords_have_to_wait_longer_and_longer_and_over_a_restart(
    access: Access, clock: Clock, tmp_path: Path
) -> None:
    wrong(access, BY_USER.free)
    waits = []
    for _ in range(14):
        with pytest.raises(TooOften) as refused:
            access.login("anna", GOOD, HERE)
        waits.append(refused.value.wait_s)
        clock.now += refused.value.wait_s
        wrong(access, 1)
    assert waits[:5] == [1, 2, 4, 8, 16] and waits[-1] == BY_USER.most_s
    with Access(tmp_path, CHEAP, clock) as again:
        with pytest.raises(TooOften):
            again.login("anna", GOOD, HERE)
        clock.now += BY_USER.most_s
        again.login("anna", GOOD, HERE)
        wrong(again, BY_USER.free)


def test_a_stranger_keeps_nobody_out_from_where_they_are_known(access: Access, clock: Clock) -> None:
    access.login("anna", GOOD, HERE)
    for number in range(50):
        try:
            access.login("anna", "a guess of many", f"203.0.113.{number}")
        except (LoginNeeded, TooOften):
            clock.now += 1
    with pytest.raises(TooOften):
        access.login("anna", GOOD, THERE)
    access.login("anna", GOOD, HERE)
    # nor does one who shares the address and guesses other names
    for number in range(BY_ADDRESS.free + 5):
        try:
            access.login(f"user{number}", "a guess of many", HERE)
        except (LoginNeeded, TooOften):
            continue
    with pytest.raises(TooOften):
        access.login("vera", GOOD, HERE)
    access.login("anna", GOOD, HERE)


def test_an_address_waits_whoever_it_guesses_for_and_an_own_account_is_no_way_round(access: Access) -> None:
    for number in range(BY_ADDRESS.free):
        if number % 4 == 0:
            access.login("vera", GOOD, HERE)
        wrong(access, 1, name=f"nobody{number}")
    with pytest.raises(TooOften):
        access.login("nobody-else", GOOD, HERE)


def test_a_name_that_nobody_has_is_answered_as_one_that_somebody_has(access: Access) -> None:
    answers = []
    for name in ("anna", "nobody"):
        address = f"192.0.2.{len(name)}"
        wrong(access, BY_USER.free, name=name, address=address)
        with pytest.raises(TooOften) as refused:
            access.login(name, GOOD, address)
        answers.append(str(refused.value))
    assert answers[0] == answers[1]
    assert said(access)[-1] == ("", "login failed", "")


def test_many_tries_at_once_are_no_way_round(access: Access) -> None:
    outcomes: list[type[Exception]] = []

    def guess() -> None:
        try:
            access.login("anna", "a guess of many", HERE)
        except AccessError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count(LoginNeeded) == BY_USER.free and outcomes.count(TooOften) == 20 - BY_USER.free


def test_a_new_password_ends_the_wait(access: Access) -> None:
    wrong(access, BY_USER.free)
    access.users.set_password("anna", OTHER, by="console (operator)")
    access.login("anna", OTHER, HERE)


def test_counters_fill_no_disk(access: Access, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.access.limits._KEPT", 100)
    for number in range(300):
        access.limits.take(f"name{number}", f"10.0.{number % 256}.{number // 256}")
    with sqlite3.connect(tmp_path / NAME) as base:
        assert base.execute("SELECT count(*) FROM failure").fetchone()[0] <= 102


def test_addresses_that_one_machine_may_choose_are_one() -> None:
    assert network("2001:db8::1") == network("2001:db8::ffff:2") != network("2001:db8:0:1::1")
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"
    assert network("fe80::1%eth0") == network("fe80::2")
    assert network("a name") == "a name"


# ---- the first admin


def test_the_first_link_makes_one_admin_once(tmp_path: Path, clock: Clock) -> None:
    with Access(tmp_path, CHEAP, clock) as access:
        old, link = access.first_link(), access.first_link()
        assert old and link
        for bad in (old, "", "nonsense"):
            with pytest.raises(LoginNeeded, match="was used, is over an hour old, or is none"):
                access.make_first(bad, "anna", GOOD, HERE)
        with pytest.raises(AccessError, match="12 to 256"):
            access.make_first(link, "anna", "short", HERE)
        who = access.sessions.who(access.make_first(link, "Anna", GOOD, HERE, "de"))
        assert who is not None and (who.name, who.role, who.language) == ("anna", "admin", "de")
        with pytest.raises(LoginNeeded):
            access.make_first(link, "bert", GOOD, HERE)
        assert access.first_link() is None
        assert access.audit.verify() == Verdict(6)


def test_the_first_link_ends_after_an_hour_and_when_an_admin_is_made_otherwise(tmp_path: Path, clock: Clock) -> None:
    with Access(tmp_path, CHEAP, clock) as access:
        link = access.first_link()
        assert link
        clock.now += FIRST_S
        with pytest.raises(LoginNeeded):
            access.make_first(link, "anna", GOOD, HERE)
        link = access.first_link()
        assert link
        access.users.add("otto", "admin", GOOD, by="console (operator)")
        with pytest.raises(LoginNeeded):
            access.make_first(link, "anna", GOOD, HERE)
        assert [user.name for user in access.users.all()] == ["otto"]


# ---- the file


def test_a_file_that_others_read_or_of_another_version_is_refused(access: Access, tmp_path: Path) -> None:
    (tmp_path / NAME).chmod(0o640)
    with pytest.raises(AccessError, match="chmod 600"):
        Access(tmp_path)
    (tmp_path / NAME).chmod(0o600)
    with sqlite3.connect(tmp_path / NAME) as base:
        base.execute("PRAGMA user_version = 9")
    with pytest.raises(AccessError, match="is of version 9, this quaver reads 1"):
        Access(tmp_path)


def test_what_failed_halfway_left_nothing(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = said(access)
    monkeypatch.setattr(access.audit, "write", full)
    with pytest.raises(AccessError, match="No space left"):
        access.users.add("tim", "viewer", GOOD, by="anna")
    monkeypatch.undo()
    assert [user.name for user in access.users.all()] == ["anna", "vera"] and said(access) == before
