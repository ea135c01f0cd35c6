"""Logging in at an OpenID provider: a real one over HTTP, and all that it may say wrongly."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from openid_provider import CLIENT, SECRET, Provider, code_of, new_key
from test_access import CHEAP, GOOD
from test_ingest import Bench
from test_page_access import API, Browser, refused
from test_page_serve import Page
from test_page_serve import refused as serve_refused

from quaver.access.access import Access
from quaver.access.openid import OpenId, read_plan
from quaver.errors import AccessError
from quaver.query.door import Door
from quaver.serve.app import create_app
from quaver.serve.services import Services

PAGE = "http://127.0.0.1"


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(redirects=[f"{PAGE}{API}/openid/callback"]) as provider:
        provider.person["groups"] = ["staff", "electricians"]
        yield provider


@pytest.fixture
def plan(provider: Provider, tmp_path: Path) -> Path:
    secret = tmp_path / "client.secret"
    secret.write_text(f"{SECRET}\n")
    secret.chmod(0o600)
    path = tmp_path / "openid.toml"
    path.write_text(
        f'issuer = "{provider.issuer}"\nclient_id = "{CLIENT}"\nclient_secret_file = "client.secret"\n'
        f'url = "{PAGE}"\ntitle = "the works\' account"\n'
        '[roles]\nelectricians = "technician"\nplanners = "engineer"\nbosses = "admin"\n'
    )
    return path


class Now:
    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def access(tmp_path: Path, now: Now) -> Iterator[Access]:
    with Access(tmp_path / "page", CHEAP, now) as access:
        yield access


@pytest.fixture
def app(access: Access, bench: Bench, tmp_path: Path, plan: Path, now: Now) -> Any:
    services = Services(Door(bench.path), tmp_path, access=access, openid=OpenId(read_plan(plan), now))
    return create_app(services)


def browse(app: Any) -> Browser:
    page = Browser(app, PAGE)
    page.follow_redirects = False
    return page


def to_provider(page: Browser, query: str = "") -> str:
    """Where the page sends the browser."""
    answer = page.get(f"{API}/openid/login{query}")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


def at_provider(url: str) -> str:
    """Where the provider sends it back."""
    answer = requests.get(url, allow_redirects=False, timeout=10)
    assert answer.status_code == 302, answer.text
    return code_of(answer.headers["location"])


def log_in(page: Browser, query: str = "") -> str:
    """The hash of the page that a whole login ends at."""
    answer = page.get(at_provider(to_provider(page, query)))
    assert answer.status_code == 303, answer.text
    location = str(answer.headers["location"])
    assert location.startswith("../../../#/")
    return location.removeprefix("../../../")


def test_somebody_logs_in_at_the_provider_with_the_role_of_their_group(
    app: Any, provider: Provider, access: Access
) -> None:
    page = browse(app)
    assert page.get(f"{API}/session").json()["openid"] == "the works' account"
    assert log_in(page, "?back=%23/node/0a1b%3Ftab=log") == "#/node/0a1b?tab=log"
    me = page.get(f"{API}/me").json()
    assert (me["name"], me["role"], me["local"]) == ("rita", "technician", False)
    asked, exchanged = provider.seen
    assert asked["code_challenge_method"] == "S256" and asked["nonce"] and asked["state"]
    assert asked["scope"] == "openid profile email" and len(exchanged["code_verifier"]) >= 43
    assert SECRET not in str(provider.seen)
    assert [(row.who, row.what, row.about) for row in access.audit.rows()] == [
        ("rita", "login", "rita"),
        ("OpenID provider", "user added", "rita"),
    ]
    # what they may is theirs, as of any user
    refused(page.get(f"{API}/users"), 403)
    page.headers["x-csrf-token"] = me["csrf"]
    answer = page.post(f"{API}/me/password", json={"password": GOOD, "fresh": GOOD})
    assert refused(answer, 401) == "the name or the password is wrong"


def test_the_role_follows_the_groups_at_each_login(app: Any, provider: Provider, access: Access) -> None:
    page = browse(app)
    log_in(page)
    for groups, role in (
        (["planners", "electricians"], "engineer"),
        ("bosses", "admin"),
        (["electricians"], "technician"),
    ):
        provider.person["groups"] = groups
        provider.person["preferred_username"] = "another name"  # the subject is who it is
        assert log_in(page) == "#/plant"
        me = page.get(f"{API}/me").json()
        assert (me["name"], me["role"]) == ("rita", role)
    assert len(access.users.all()) == 1


def test_who_has_no_role_is_refused_and_made_no_user(app: Any, provider: Provider, access: Access) -> None:
    page = browse(app)
    for groups in ([], ["staff"], "staff", None, 7, [["electricians"]], {"electricians": True}):
        provider.person["groups"] = groups
        assert log_in(page) == "#/login?problem=refused", groups
        refused(page.get(f"{API}/me"), 401)
    assert access.users.all() == []
    assert access.audit.rows()[0].what == "login failed"


def test_who_loses_their_role_is_shut_out_with_sessions_and_tokens(
    app: Any, provider: Provider, access: Access
) -> None:
    page, other = browse(app), browse(app)
    log_in(page)
    page.headers["x-csrf-token"] = page.get(f"{API}/me").json()["csrf"]
    secret = page.post(f"{API}/tokens", json={"title": "x", "scopes": ["read"], "days": 1}).json()["secret"]
    provider.person["groups"] = []
    assert log_in(other) == "#/login?problem=refused"
    refused(page.get(f"{API}/me"), 401)
    refused(other.get(f"{API}/me", headers={"authorization": f"Bearer {secret}"}), 401)
    provider.person["groups"] = ["bosses"]
    assert log_in(other) == "#/login?problem=refused"
    access.users.set_disabled("rita", False, by="anna")
    assert log_in(other) == "#/plant"


def test_a_name_that_has_a_password_here_is_not_taken_over(app: Any, provider: Provider, access: Access) -> None:
    access.users.add("rita", "admin", GOOD, by="test")
    page = browse(app)
    assert log_in(page) == "#/login?problem=taken"
    refused(page.get(f"{API}/me"), 401)


@pytest.mark.parametrize(
    ("person", "name"),
    [
        ({"preferred_username": "Rita Maier", "email": "Rita@plant.example"}, "rita@plant.example"),
        ({"preferred_username": "<b>"}, "openid-"),
        ({"preferred_username": ["a"]}, "openid-"),
    ],
)
def test_what_the_provider_calls_somebody_is_a_name_or_none(
    app: Any, provider: Provider, person: dict[str, Any], name: str
) -> None:
    provider.person |= person
    page = browse(app)
    assert log_in(page) == "#/plant"
    assert page.get(f"{API}/me").json()["name"].startswith(name)


# ---- what does not hold


def test_a_token_with_a_wrong_claim_logs_nobody_in(app: Any, provider: Provider, access: Access) -> None:
    page, now_s = browse(app), int(time.time())
    for claims in (
        {"nonce": "another"},
        {"nonce": None},
        {"iss": "https://evil.example"},
        {"aud": ["another-client"]},
        {"aud": ["another-client", CLIENT]},  # without azp
        {"aud": [CLIENT], "azp": "another-client"},
        {"exp": now_s - 3600},
        {"iat": now_s + 3600},
        {"sub": ""},
        {"sub": 7},
        {"at_hash": "AAAA"},
    ):
        provider.claims = claims
        assert log_in(page) == "#/login?problem=failed", claims
        refused(page.get(f"{API}/me"), 401)
    assert access.users.all() == []
    provider.claims = {}
    assert log_in(page) == "#/plant"


def test_a_token_of_another_key_or_of_the_clients_secret_logs_nobody_in(app: Any, provider: Provider) -> None:
    page = browse(app)
    provider.published = [new_key()]
    assert log_in(page) == "#/login?problem=failed"
    provider.published = [provider.key]
    provider.algorithm = "HS256"
    assert log_in(page) == "#/login?problem=failed"
    provider.algorithm = "none"
    assert page.get(at_provider(to_provider(page))).headers["location"].endswith("failed")
    refused(page.get(f"{API}/me"), 401)


def test_new_keys_of_the_provider_are_fetched_when_they_are_needed(app: Any, provider: Provider) -> None:
    page = browse(app)
    assert log_in(page) == "#/plant"
    provider.key = new_key()
    provider.published = [provider.key]
    assert log_in(page) == "#/plant"


def test_a_code_is_of_the_browser_that_asked_and_good_once(app: Any, now: Now) -> None:
    page, other = browse(app), browse(app)
    back = at_provider(to_provider(page))
    # somebody else's browser, to which the address was sent
    assert other.get(back).headers["location"].endswith("#/login?problem=failed")
    refused(other.get(f"{API}/me"), 401)
    back = at_provider(to_provider(page))
    assert page.get(back).headers["location"].endswith("#/plant")
    assert page.get(back).headers["location"].endswith("#/login?problem=failed")
    back = at_provider(to_provider(page))
    now.ahead = 601
    assert page.get(back).headers["location"].endswith("#/login?problem=failed")


def test_a_callback_without_a_login_is_refused(app: Any) -> None:
    for query in ("", "?state=x&code=y", "?error=access_denied", "?state=" + "x" * 100):
        answer = browse(app).get(f"{API}/openid/callback{query}")
        assert answer.headers["location"].endswith("#/login?problem=failed"), query


def test_another_provider_that_answers_is_refused(app: Any, provider: Provider) -> None:
    page = browse(app)
    back = at_provider(to_provider(page))
    assert page.get(f"{back}&iss=https://evil.example").headers["location"].endswith("#/login?problem=failed")
    page.get(state_only := f"{API}/openid/callback?state=" + parse_qs(urlsplit(to_provider(page)).query)["state"][0])
    assert page.get(f"{state_only}&error=access_denied").headers["location"].endswith("#/login?problem=failed")


def test_the_page_goes_on_nowhere_else(app: Any) -> None:
    for back in ("https://evil.example", "//evil.example", "%23/a%0d%0ab", "javascript:x", "%23/" + "a" * 550):
        assert log_in(browse(app), f"?back={back}") == "#/plant", back


def test_a_provider_that_says_nonsense_of_itself_is_told(app: Any, provider: Provider) -> None:
    for about in ({"issuer": "https://evil.example"}, {"token_endpoint": "ftp://x"}, {"jwks_uri": None}):
        provider.about = about
        assert "the provider" in refused(browse(app).get(f"{API}/openid/login"), 400), about


def test_a_provider_that_is_gone_is_told_and_passwords_still_hold(
    access: Access, bench: Bench, tmp_path: Path, plan: Path, provider: Provider
) -> None:
    plan.write_text(plan.read_text().replace(provider.issuer, "http://127.0.0.1:9"))
    access.users.add("anna", "admin", GOOD, by="test")
    services = Services(Door(bench.path), tmp_path, access=access, openid=OpenId(read_plan(plan)))
    page = browse(create_app(services))
    assert "does not answer" in refused(page.get(f"{API}/openid/login"), 400)
    assert page.log_in("anna").status_code == 200


# ---- the file


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('issuer = "http', 'issuer = "ftp', "issuer: Value error, has to begin with https://"),
        ('url = "http://127.0.0.1"', 'url = "http://plant.example"', "url: Value error, has to begin with https://"),
        ('url = "http://127.0.0.1"', 'url = "https://"', "url: Value error, has to be a URL with a host"),
        ('"technician"', '"boss"', "roles.electricians: Input should be 'viewer'"),
        ("client_id =", "client =", "client_id: Field required"),
        ("[roles]", "[rules]", "roles: Field required"),
        ("[roles]", "roles", "is no TOML"),
        ("client.secret", "none.secret", "holds no secret"),
    ],
)
def test_a_file_that_is_wrong_is_told_in_one_line(plan: Path, old: str, new: str, words: str) -> None:
    plan.write_text(plan.read_text().replace(old, new, 1))
    with pytest.raises(AccessError, match=r"^[^\n]*$") as told:
        OpenId(read_plan(plan))
    assert words in str(told.value)


def test_a_secret_that_others_read_is_refused(plan: Path) -> None:
    (plan.parent / "client.secret").chmod(0o644)
    with pytest.raises(AccessError, match="chmod 600"):
        OpenId(read_plan(plan))
    with pytest.raises(AccessError, match="name a file for --openid"):
        read_plan(plan.parent / "none.toml")


def test_serve_takes_the_file(plan: Path, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--store", str(bench.path), "--state", str(tmp_path / "page"), "--openid")
    page = Page(*words, str(plan))
    try:
        answer = requests.get(f"{page.address}{API}/session", timeout=10)
        assert answer.json() == {"first": True, "openid": "the works' account", "passwords": False}
        sent = requests.get(f"{page.address}{API}/openid/login", allow_redirects=False, timeout=10)
        assert "code_challenge_method=S256" in sent.headers["location"]
    finally:
        page.end()
    assert "name a file for --openid" in serve_refused(capsys, "serve", *words, str(plan.parent / "none.toml"))


def test_without_a_provider_there_is_none(bench: Bench, access: Access, tmp_path: Path) -> None:
    page = browse(create_app(Services(Door(bench.path), tmp_path, access=access)))
    assert page.get(f"{API}/session").json()["openid"] is None
    refused(page.get(f"{API}/openid/login"), 404)
