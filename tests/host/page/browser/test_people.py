"""People on the page, in Chromium: the first admin, logging in and out, users, tokens and the audit trail."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from looking import PATIENCE_MS, WIDTHS
from openid_provider import CLIENT, SECRET, Provider
from playwright.sync_api import Browser, BrowserContext, Page, expect
from test_access import CHEAP, GOOD, OTHER
from test_screens import check_with_axe

from quaver.access.access import Access
from quaver.access.openid import OpenId, read_plan
from quaver.query.door import Door
from quaver.serve.run import server
from quaver.serve.services import Services
from quaver.store.location import open_records
from tests.waiting import wait_until


@dataclass
class Works:
    """A page without a node, and its people."""

    url: str
    access: Access
    provider: Provider


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    folder = tmp_path
    open_records(folder / "plant.sqlite").close()
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
    # By another name: to a browser the provider is another site, as in life.
    with Provider(redirects=[f"{url}api/v1/openid/callback"], host="localhost") as provider:
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o600)
        (folder / "openid.toml").write_text(
            f'issuer = "{provider.issuer}"\nclient_id = "{CLIENT}"\nclient_secret_file = "secret"\nurl = "{url}"\n'
            'title = "works account"\n[roles]\nelectricians = "technician"\n'
        )
        provider.person["groups"] = ["electricians"]
        access = Access(folder / "page", CHEAP)
        services = Services(Door(folder / "plant.sqlite"), folder / "page", "Works", access=access)
        services.openid = OpenId(read_plan(folder / "openid.toml"))
        page = server(services)
        thread = threading.Thread(target=page.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        wait_until(lambda: page.started)
        yield Works(url, access, provider)
        page.should_exit = True
        thread.join(30)


@pytest.fixture
def context(chromium: Browser, width: str) -> Iterator[BrowserContext]:
    context = chromium.new_context(viewport=WIDTHS[width], locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    yield context
    context.close()


def accessible(page: Page, what: str) -> None:
    check_with_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what


def log_in(page: Page, url: str, name: str, password: str) -> None:
    page.goto(f"{url}#/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_the_first_admin_makes_the_others(works: Works, context: BrowserContext, width: str) -> None:
    """From the link on the console to a user, a token and the trail, without a mouse for what has to be typed."""
    page = context.new_page()
    admin, user = f"anna-{width}", f"tim-{width}"
    if width == "phone":
        page.goto(works.url)
        expect(page.get_by_text("There is no administrator yet")).to_be_visible()
        expect(page.get_by_text("link that quaver serve has printed on its console")).to_be_visible()
        expect(page.get_by_label("Password")).to_have_count(0)
        accessible(page, "nobody yet")
        # somebody without an administrator, made on the machine itself, logs in all the same
        works.access.users.add("vera", "viewer", GOOD, by="test")
        page.reload()
        expect(page.get_by_text("There is no administrator yet")).to_be_visible()
        page.get_by_label("Name").fill("vera")
        page.get_by_label("Password").fill(GOOD)
        accessible(page, "no administrator yet")
        page.keyboard.press("Enter")
        expect(page.locator(".rail")).to_be_visible()
        page.goto(f"{works.url}#/more")
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.goto(f"{works.url}#/first/{works.access.first_link()}")
        page.reload()
        page.get_by_label("Name").fill(admin)
        page.get_by_label("Password", exact=True).fill("short")
        page.get_by_label("The password again").fill(GOOD)
        page.keyboard.press("Enter")
        expect(page.get_by_text("At least 12 characters.")).to_be_visible()
        accessible(page, "the first admin")
        page.get_by_label("Password", exact=True).fill(GOOD)
        page.keyboard.press("Enter")
    else:
        works.access.users.add(admin, "admin", GOOD, by="test")
        log_in(page, works.url, admin, GOOD)
    expect(page.locator(".rail")).to_be_visible()
    page.goto(f"{works.url}#/users")
    page.get_by_role("button", name="Add a user").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(user)
    dialog.get_by_label("Role").select_option("technician")
    dialog.get_by_label("Password", exact=True).fill(GOOD)
    dialog.get_by_label("The password again").fill(OTHER)
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_text("The two are not the same.")).to_be_visible()
    accessible(page, "the dialog")
    dialog.get_by_label("The password again").fill(GOOD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("row").filter(has_text=user)).to_contain_text("technician")
    accessible(page, "users")
    page.get_by_role("button", name=f"Change {user}").click()
    page.get_by_role("dialog").get_by_label("Role").select_option("engineer")
    page.get_by_role("button", name="Set the role").click()
    expect(page.get_by_role("row").filter(has_text=user)).to_contain_text("engineer")
    assert works.access.users.get(user).role == "engineer"

    page.goto(f"{works.url}#/users/tokens")
    page.get_by_role("button", name="Make a token").click()
    page.get_by_role("textbox", name="Use").fill("report of the week")
    page.keyboard.press("Enter")
    secret = page.get_by_role("textbox", name="The token").input_value()
    who = works.access.tokens.who(secret)
    assert who is not None and who.name == admin and who.scopes == {"read"}
    accessible(page, "the token")
    page.keyboard.press("Escape")
    expect(page.get_by_role("row").filter(has_text="report of the week")).to_be_visible()

    page.goto(f"{works.url}#/users/audit")
    page.get_by_role("button", name="Check the whole trail").click()
    expect(page.get_by_text("rows are what was written")).to_be_visible()
    expect(page.get_by_role("row").filter(has_text="made a token").first).to_contain_text(admin)
    accessible(page, "the trail")


def test_a_wrong_password_a_right_one_and_the_way_out(works: Works, context: BrowserContext, width: str) -> None:
    name = f"vera-{width}"
    works.access.users.add("anna", "admin", GOOD, by="test")
    works.access.users.add(name, "viewer", GOOD, by="test")
    page = context.new_page()
    page.goto(f"{works.url}#/users/account")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    accessible(page, "login")
    log_in(page, works.url, name, "not the right words")
    expect(page.get_by_text("The name or the password is wrong.")).to_be_visible()
    page.get_by_label("Password").fill(GOOD)
    page.keyboard.press("Enter")
    expect(page.locator(".rail")).to_be_visible()
    # a viewer sees an account and tokens, and nobody else
    page.goto(f"{works.url}#/users")
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_role("link", name="Audit trail")).to_have_count(0)
    page.get_by_label("The password until now").fill(GOOD)
    page.get_by_label("Password", exact=True).fill(OTHER)
    page.get_by_label("The password again").fill(OTHER)
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("Your password is changed.")).to_be_visible()
    accessible(page, "the account")
    page.goto(f"{works.url}#/more")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    assert page.evaluate("fetch('api/v1/me').then((answer) => answer.status)") == 401
    log_in(page, works.url, name, OTHER)
    expect(page.locator(".rail")).to_be_visible()


def test_the_company_account_logs_in_from_another_site(works: Works, context: BrowserContext) -> None:
    works.access.users.add("anna", "admin", GOOD, by="test")
    page = context.new_page()
    page.goto(f"{works.url}#/users/account")
    page.get_by_role("link", name="Log in with works account").click()
    expect(page.locator(".rail")).to_be_visible()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    expect(page.get_by_text("technician").first).to_be_visible()
    works.provider.person["groups"] = []
    context.clear_cookies()
    page.goto(works.url)
    page.get_by_role("link", name="Log in with works account").click()
    expect(page.get_by_text("no role here is yours")).to_be_visible()


def test_it_is_all_there_in_german(works: Works, chromium: Browser) -> None:
    works.access.users.add("greta", "admin", GOOD, by="test", language="de")
    context = chromium.new_context(viewport=WIDTHS["phone"], locale="de-DE")  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(works.url)
    expect(page.get_by_role("heading", name="Anmelden")).to_be_visible()
    page.get_by_label("Name").fill("greta")
    page.get_by_label("Passwort").fill(GOOD)
    page.keyboard.press("Enter")
    expect(page.locator(".rail")).to_be_visible()
    for place in ("", "/audit", "/account", "/tokens"):
        page.goto(f"{works.url}#/users{place}")
        expect(page.get_by_role("heading", name="Benutzer").first).to_be_visible()
        expect(page.locator(".loading")).to_have_count(0)
        shown = page.locator("main").inner_text()
        assert not [word for word in ("users.", "tokens.", "audit.", "first.", "scope.") if word in shown], shown
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
    context.close()
