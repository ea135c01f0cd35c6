"""Who may what on the page: sessions, tokens, CSRF, limits, and each role against each endpoint."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient
from test_access import CHEAP, GOOD, OTHER, Clock
from test_ingest import Bench

from quaver.access.access import Access
from quaver.access.base import NAME
from quaver.access.limits import BY_USER
from quaver.access.roles import ROLES
from quaver.access.sessions import ABSOLUTE_S, IDLE_S
from quaver.query.door import Door
from quaver.serve import middleware
from quaver.serve.app import API, all_endpoints, create_app
from quaver.serve.buckets import Buckets
from quaver.serve.endpoints import Endpoint
from quaver.serve.middleware import Identify
from quaver.serve.services import Services

OPEN = {
    *(("GET", "/session"), ("POST", "/session"), ("POST", "/first")),
    *(("GET", "/openid/login"), ("GET", "/openid/callback")),
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(tmp_path: Path, clock: Clock) -> Iterator[Access]:
    with Access(tmp_path / "page", CHEAP, clock) as access:
        for role in ROLES:
            access.users.add(f"the-{role}", role, GOOD, by="test")
        yield access


@pytest.fixture
def app(access: Access, bench: Bench, tmp_path: Path) -> Any:
    return create_app(Services(Door(bench.path), tmp_path / "page", "Plant", access=access))


class Browser(TestClient):
    """A browser with the page open: it keeps the cookie and the CSRF token."""

    def __init__(self, app: Any, url: str = "http://plant.test", address: str = "192.0.2.1") -> None:
        super().__init__(app, base_url=url, client=(address, 50000))
        self.headers["origin"] = url

    def log_in(self, name: str, password: str = GOOD) -> Any:
        answer = self.post(f"{API}/session", json={"name": name, "password": password})
        self.headers["x-csrf-token"] = answer.json().get("csrf", "")
        return answer


@pytest.fixture
def browser(app: Any) -> Callable[..., Browser]:
    def make(role: str | None = None, **named: Any) -> Browser:
        made = Browser(app, **named)
        if role:
            assert made.log_in(f"the-{role}").status_code == 200
        return made

    return make


Make = Callable[..., Browser]


def refused(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"] and "\n" not in answer.json()["error"]
    return str(answer.json()["error"])


# ---- the table


@pytest.mark.parametrize("role", [None, *ROLES])
def test_each_role_against_each_endpoint(role: str | None, browser: Make, access: Access) -> None:
    """Who may not gets 403, or 401 where nobody is known; who may gets anything else, if only what was asked is odd."""
    scopes = set(ROLES.get(role or "", ()))
    asked = browser(role)
    for each in all_endpoints():
        if (each.method, each.path) in (("DELETE", "/session"), ("GET", "/live")):
            continue  # tested on their own: one ends the session, the other does not end
        answer = asked.request(each.method, API + re.sub(r"{\w+(:\w+)?}", "1", each.path))
        place = f"{role} {each.method} {each.path}"
        if each.open:
            assert (each.method, each.path) in OPEN and answer.status_code not in (401, 403), place
        elif role is None:
            assert answer.status_code == 401, place
        elif each.scope and each.scope not in scopes:
            assert answer.status_code == 403 and f"needs the scope {each.scope}" in refused(answer, 403), place
        else:
            assert answer.status_code not in (401, 403, 500), place


def test_what_is_open_is_on_a_list_of_its_own() -> None:
    assert {(each.method, each.path) for each in all_endpoints() if each.open} == OPEN


def test_without_users_nobody_may_anything(bench: Bench, tmp_path: Path) -> None:
    page = Browser(create_app(Services(Door(bench.path), tmp_path)))
    for each in all_endpoints():
        if not each.open:
            answer = page.request(each.method, API + re.sub(r"{\w+(:\w+)?}", "1", each.path))
            assert answer.status_code == 401, each.path
    refused(page.post(f"{API}/session", json={"name": "a", "password": "b"}), 409)


# ---- sessions


@pytest.mark.parametrize(
    ("url", "name", "secure"),
    [("http://plant.test", "quaver_session", False), ("https://plant.test", "__Host-quaver_session", True)],
)
def test_the_cookie_of_a_session(browser: Make, url: str, name: str, secure: bool) -> None:
    page = browser(url=url)
    answer = page.log_in("the-viewer")
    kept = answer.headers["set-cookie"]
    assert kept.startswith(f"{name}=") and kept.endswith("; Secure") == secure
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(kept.split("; ")) and "Domain" not in kept
    me = page.get(f"{API}/me").json()
    assert (
        me
        == answer.json()
        == {
            "name": "the-viewer",
            "role": "viewer",
            "scopes": ["read"],
            "language": "en",
            "csrf": me["csrf"],
            "local": True,
        }
    )
    assert len(me["csrf"]) == 64 and me["csrf"] not in kept
    answer = page.delete(f"{API}/session")
    assert answer.status_code == 204 and f"{name}=; Path=/; Max-Age=0" in answer.headers["set-cookie"]
    refused(page.get(f"{API}/me"), 401)


def test_a_secret_that_was_logged_out_is_no_session_wherever_it_was_copied(browser: Make) -> None:
    page, thief = browser("viewer"), browser()
    thief.cookies = page.cookies
    assert thief.get(f"{API}/me").status_code == 200
    page.delete(f"{API}/session")
    refused(thief.get(f"{API}/me"), 401)


def test_a_session_that_expired_is_asked_to_log_in(browser: Make, clock: Clock) -> None:
    page = browser("viewer")
    for _ in range(3):
        clock.now += IDLE_S - 1
        assert page.get(f"{API}/plant").status_code == 200  # used, so it is not idle
    clock.now += IDLE_S
    assert "log in" in refused(page.get(f"{API}/plant"), 401)
    page = browser("viewer")
    for _ in range(ABSOLUTE_S // (IDLE_S // 2)):
        clock.now += IDLE_S / 2
        page.get(f"{API}/plant")
    refused(page.get(f"{API}/plant"), 401)


def test_a_login_gives_another_secret_and_ends_the_one_before(browser: Make) -> None:
    page = browser("viewer")
    before = dict(page.cookies)
    page.log_in("the-admin")
    assert dict(page.cookies) != before
    old = browser()
    old.cookies.update(before)
    refused(old.get(f"{API}/me"), 401)


@pytest.mark.parametrize("change", ["role", "disable", "password"])
def test_what_an_admin_changes_holds_at_once(browser: Make, change: str) -> None:
    page, admin = browser("technician"), browser("admin")
    body = {"role": {"role": "viewer"}, "password": {"password": OTHER}}.get(change)
    assert admin.post(f"{API}/users/the-technician/{change}", json=body).status_code in (200, 204)
    refused(page.get(f"{API}/me"), 401)
    answer = page.log_in("the-technician", OTHER if change == "password" else GOOD)
    assert answer.status_code == (401 if change == "disable" else 200)
    if change == "role":
        assert answer.json()["scopes"] == ["read"]


def test_ones_own_password_is_changed_with_the_old_one(browser: Make) -> None:
    page, other = browser("viewer"), browser("viewer")
    refused(page.post(f"{API}/me/password", json={"password": OTHER, "fresh": OTHER}), 401)
    refused(page.post(f"{API}/me/password", json={"password": GOOD, "fresh": "short"}), 400)
    answer = page.post(f"{API}/me/password", json={"password": GOOD, "fresh": OTHER})
    assert answer.status_code == 200
    refused(other.get(f"{API}/me"), 401)
    assert page.get(f"{API}/me").json()["csrf"] == answer.json()["csrf"]
    refused(browser().log_in("the-viewer"), 401)
    assert browser().log_in("the-viewer", OTHER).status_code == 200


def test_wrong_logins_are_told_alike_and_have_to_wait(browser: Make, clock: Clock) -> None:
    page = browser()
    lines = {
        refused(page.log_in(name, "wrong words here"), 401) for name in ("the-viewer", "nobody", "", "a\nb", "x" * 99)
    }
    assert lines == {"the name or the password is wrong"}
    for _ in range(BY_USER.free - 1):
        refused(page.log_in("the-viewer", "wrong words here"), 401)
    answer = page.log_in("the-viewer")
    assert refused(answer, 429) == "too many failed logins; try again in 1 s" and answer.headers["retry-after"] == "1"
    clock.now += 1
    assert page.log_in("the-viewer").status_code == 200


def test_what_is_no_login_is_refused(browser: Make) -> None:
    page = browser()
    for body in ({}, {"name": "a"}, {"name": 1, "password": GOOD}, {"name": "a", "password": "x" * 300}, []):
        refused(page.post(f"{API}/session", json=body), 400)


# ---- CSRF


def test_a_change_needs_the_token_of_its_own_session(browser: Make, access: Access) -> None:
    page, other = browser("admin"), browser("admin")
    own, foreign = page.headers["x-csrf-token"], other.headers["x-csrf-token"]
    body = {"name": "new", "role": "viewer", "password": GOOD}
    for wrong in (None, "", "0" * 64, foreign, "\xe9"):
        page.headers.pop("x-csrf-token", None)
        sent = [] if wrong is None else [(b"x-csrf-token", wrong.encode("latin-1"))]
        answer = page.post(f"{API}/users", json=body, headers=sent)
        assert "x-csrf-token is missing or of another session" in refused(answer, 403)
        refused(page.delete(f"{API}/session", headers=sent), 403)
        assert page.get(f"{API}/users").status_code == 200
    assert len(access.users.all()) == len(ROLES)
    page.headers["x-csrf-token"] = own
    assert page.post(f"{API}/users", json=body).status_code == 200


_SITES = (
    ("http://plant.test", {"origin": "http://plant.test"}, True),
    ("http://plant.test", {"origin": "https://plant.test"}, True),  # TLS ends before this server
    ("https://plant.test", {"origin": "http://plant.test"}, False),
    ("http://plant.test", {"origin": "http://evil.test"}, False),
    ("http://plant.test", {"origin": "http://plant.test.evil.test"}, False),
    ("http://plant.test", {"origin": "http://plant.test:8080"}, False),
    ("http://plant.test", {"origin": "null"}, False),
    ("http://plant.test", {"origin": "http://["}, False),
    ("http://plant.test", {}, True),
    ("http://plant.test", {"sec-fetch-site": "same-origin"}, True),
    ("http://plant.test", {"sec-fetch-site": "cross-site"}, False),
    ("http://plant.test", {"sec-fetch-site": "same-site"}, False),
)


def test_the_page_of_another_site_changes_nothing(browser: Make) -> None:
    pages = {url: browser("viewer", url=url) for url in ("http://plant.test", "https://plant.test")}
    for url, headers, own in _SITES:
        page = pages[url]
        page.headers.pop("origin", None)
        answer = page.post(f"{API}/me/language", json={"language": "de"}, headers=headers)
        assert answer.status_code == (200 if own else 403), headers
        # and logs nobody in, as somebody else
        answer = page.post(f"{API}/session", json={"name": "the-viewer", "password": GOOD}, headers=headers)
        assert answer.status_code == (200 if own else 403), headers
        page.headers["x-csrf-token"] = answer.json().get("csrf", page.headers["x-csrf-token"])


# ---- tokens


def token_of(page: Browser, scopes: list[str], days: int = 1) -> str:
    answer = page.post(f"{API}/tokens", json={"title": "a script", "scopes": scopes, "days": days})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["secret"])


def test_a_token_asks_without_a_cookie_and_for_its_scopes_alone(browser: Make, clock: Clock) -> None:
    page, script = browser("engineer"), browser()
    script.headers["authorization"] = f"Bearer {token_of(page, ['read'])}"
    del script.headers["origin"]
    assert script.get(f"{API}/plant").status_code == 200
    assert "needs the scope admin" in refused(script.get(f"{API}/users"), 403)
    me = script.get(f"{API}/me").json()
    assert (me["scopes"], me["csrf"]) == (["read"], "")
    for method, path, body in (
        ("POST", "/tokens", {"title": "x", "scopes": ["read"], "days": 1}),
        ("POST", "/me/password", {"password": GOOD, "fresh": OTHER}),
        ("POST", "/me/language", {"language": "de"}),
        ("DELETE", "/session", None),
    ):
        assert "a token may not do this" in refused(script.request(method, API + path, json=body), 403)
    clock.now += 86_400
    assert "the token has ended" in refused(script.get(f"{API}/plant"), 401)


def test_what_is_no_token_is_refused_even_with_a_session(browser: Make) -> None:
    page = browser("admin")
    for given in ("", "Bearer", "Bearer ", "Bearer quaver_x", "Basic YTpi", "Bearer \xe9", "quaver_x"):
        answer = page.get(f"{API}/plant", headers=[(b"authorization", given.encode("latin-1"))])
        assert "the token has ended, or is none" in refused(answer, 401), given
        assert answer.headers["www-authenticate"] == "Bearer"


def test_tokens_are_seen_and_ended_by_their_makers_and_admins(browser: Make) -> None:
    page, other, admin = browser("viewer"), browser("engineer"), browser("admin")
    secret = token_of(page, ["read"])
    listed = page.get(f"{API}/tokens")
    assert secret not in listed.text and [row["title"] for row in listed.json()["tokens"]] == ["a script"]
    assert other.get(f"{API}/tokens").json() == {"tokens": []}
    refused(other.get(f"{API}/tokens?all=true"), 403)
    assert len(admin.get(f"{API}/tokens?all=true").json()["tokens"]) == 1
    refused(other.delete(f"{API}/tokens/1"), 404)
    refused(page.delete(f"{API}/tokens/x"), 404)
    assert page.delete(f"{API}/tokens/1").status_code == 204
    refused(browser().get(f"{API}/me", headers={"authorization": f"Bearer {secret}"}), 401)


def test_no_token_has_more_than_its_maker(browser: Make) -> None:
    page = browser("viewer")
    for scopes in (["alarms"], ["admin", "read"], [], ["nonsense"], ["read"] * 6):
        refused(page.post(f"{API}/tokens", json={"title": "x", "scopes": scopes, "days": 1}), 400)


# ---- users and the trail


def test_users_are_made_and_changed_by_an_admin_and_it_is_all_in_the_trail(browser: Make, tmp_path: Path) -> None:
    admin = browser("admin")
    made = admin.post(f"{API}/users", json={"name": "Tim", "role": "viewer", "password": GOOD, "language": "de"})
    assert made.json()["name"] == "tim" and made.json()["language"] == "de"
    refused(admin.post(f"{API}/users", json={"name": "tim", "role": "viewer", "password": GOOD}), 409)
    refused(admin.post(f"{API}/users", json={"name": "tom", "role": "boss", "password": GOOD}), 400)
    assert admin.post(f"{API}/users/tim/role", json={"role": "engineer"}).json()["role"] == "engineer"
    assert admin.post(f"{API}/users/tim/disable").json()["disabled"] is True
    assert admin.post(f"{API}/users/tim/enable").json()["disabled"] is False
    assert "last admin" in refused(admin.post(f"{API}/users/the-admin/disable"), 409)
    refused(admin.post(f"{API}/users/nobody/disable"), 404)
    script = {"authorization": f"Bearer {token_of(admin, ['admin'])}"}
    nobody = browser()
    del nobody.headers["origin"]
    assert nobody.post(f"{API}/users/tim/disable", headers=script).status_code == 200
    refused(nobody.post(f"{API}/users/tim/password", json={"password": OTHER}, headers=script), 403)
    rows = admin.get(f"{API}/audit?limit=6").json()["rows"]
    assert [(row["who"], row["what"], row["about"]) for row in rows] == [
        ("the-admin (token 1)", "user disabled", "tim"),
        ("the-admin", "token made", "token 1"),
        ("the-admin", "user enabled", "tim"),
        ("the-admin", "user disabled", "tim"),
        ("the-admin", "role changed", "tim"),
        ("the-admin", "user added", "tim"),
    ]
    assert rows[4]["details"] == {"from": "viewer", "to": "engineer"}
    older = admin.get(f"{API}/audit?before={rows[-1]['number']}&limit=1").json()["rows"]
    assert older[0]["what"] == "login" and older[0]["details"] == {"address": "192.0.2.1"}
    verdict = admin.get(f"{API}/audit/verify").json()
    assert verdict == {"rows": rows[0]["number"], "broken": None, "why": ""}
    with sqlite3.connect(tmp_path / "page" / NAME) as base:
        base.execute("DROP TRIGGER audit_is_not_edited")
        base.execute("UPDATE audit SET details = 'no JSON' WHERE number = 3")
    assert admin.get(f"{API}/audit/verify").json()["broken"] == 3
    assert admin.get(f"{API}/audit?before=4&limit=1").json()["rows"][0]["details"] == {"text": "no JSON"}


def test_no_function_of_the_api_edits_or_cuts_the_trail() -> None:
    assert {(each.method, each.path) for each in all_endpoints() if "audit" in each.path} == {
        ("GET", "/audit"),
        ("GET", "/audit/verify"),
    }


def test_the_first_admin_by_the_link_of_the_console_once(bench: Bench, tmp_path: Path) -> None:
    with Access(tmp_path / "new", CHEAP) as access:
        app = create_app(Services(Door(bench.path), tmp_path, access=access))
        link = access.first_link()
        page = Browser(app)
        assert page.get(f"{API}/session").json() == {"first": True, "passwords": False, "openid": None}
        asked = {"link": link, "name": "anna", "password": GOOD, "language": "de"}
        refused(page.post(f"{API}/first", json=asked | {"link": "guess"}), 401)
        refused(page.post(f"{API}/first", json=asked | {"password": "short"}), 400)
        made = page.post(f"{API}/first", json=asked)
        assert (made.json()["role"], made.json()["language"]) == ("admin", "de")
        assert page.get(f"{API}/users").status_code == 200
        assert "was used" in refused(Browser(app).post(f"{API}/first", json=asked | {"name": "bert"}), 401)
        assert page.get(f"{API}/session").json() == {"first": False, "passwords": True, "openid": None}
        assert link not in json.dumps([row._asdict() for row in access.audit.rows()], default=str)


# ---- bounds


def test_a_stranger_and_a_user_ask_so_often_and_no_more(
    app: Any, browser: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "_STRANGER", (5, 0.0001))
    monkeypatch.setattr(middleware, "_KNOWN", (8, 0.0001))
    stranger = browser(address="192.0.2.9")
    assert [stranger.get(f"{API}/me").status_code for _ in range(6)] == [401] * 5 + [429]
    assert int(stranger.get(f"{API}/me").headers["retry-after"]) > 0
    page = browser("viewer")
    assert [page.get(f"{API}/me").status_code for _ in range(9)] == [200] * 8 + [429]
    assert stranger.get("/").status_code == 200


def test_buckets_fill_again_and_take_no_more_memory_than_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quaver.serve.buckets._KEPT", 10)
    now = [0.0]
    buckets = Buckets(2, 0.5, lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    now[0] = 1.0
    assert buckets.take("a") == 1
    now[0] = 2.0
    assert [buckets.take("a") for _ in range(2)] == [0, 2]
    for number in range(100):
        buckets.take(str(number))
    assert len(buckets._left) == 10


def test_a_body_is_bounded_however_it_comes(access: Access) -> None:
    class Large(BaseModel):
        text: str

    async def read(call: Any) -> Any:
        return {"length": len(await call.request.body())}

    class Length(BaseModel):
        length: int

    services = Services(None, Path(), access=access)  # type: ignore[arg-type]
    services.close = lambda: None  # type: ignore[method-assign]
    page = Browser(create_app(services, (), [Endpoint("POST", "/read", "", "Reads.", read, answer=Length, open=True)]))
    assert page.post(f"{API}/read", content=b"x" * 1_000_000).json() == {"length": 1_000_000}
    assert "longer than" in refused(page.post(f"{API}/read", content=b"x" * 1_100_000), 413)

    def parts() -> Iterator[bytes]:
        for _ in range(200):
            yield b"x" * 10_000

    assert "longer than" in refused(page.post(f"{API}/read", content=parts()), 413)
    refused(page.post(f"{API}/read", content=b"", headers={"content-length": "9" * 5000}), 413)


@pytest.mark.parametrize("end", ["logout", "disable", "role"])
def test_a_stream_ends_with_the_session_that_asked_for_it(
    access: Access, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setattr(middleware, "_HOLDS_EACH_S", -1.0)
    secret = access.login("the-viewer", GOOD, "192.0.2.1")
    who = access.sessions.who(secret)
    assert who is not None
    closed = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def beats() -> AsyncIterator[bytes]:
            try:
                for number in range(1000):
                    if number == 3:
                        if end == "logout":
                            access.logout(who)
                        elif end == "disable":
                            access.users.set_disabled("the-viewer", True, by="test")
                        else:
                            access.users.set_role("the-viewer", "engineer", by="test")
                    yield b"beat"
            finally:
                closed.append(True)

        assert Request(scope).scope["quaver.who"] == who
        await StreamingResponse(beats())(scope, receive, send)

    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path": f"{API}/live",
        "scheme": "http",
        "headers": [(b"cookie", f"quaver_session={secret}".encode())],
        "client": ("192.0.2.1", 1),
    }
    asyncio.run(Identify(app, access)(scope, receive, send))
    bodies = [message for message in sent if message["type"] == "http.response.body"]
    assert [message["body"] for message in bodies] == [b"beat"] * 3 + [b""] and bodies[-1]["more_body"] is False
    assert closed == [True]
