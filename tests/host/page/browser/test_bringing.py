"""Bringing in, in Chromium: a real label before a fake camera, labels that are none, and runs as they go."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import segno
from looking import PATIENCE_MS, WIDTHS, Looking, Served
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from test_access import GOOD
from test_screens import check_with_axe

from quaver.bench.page_browser import chromium_path
from quaver.fleet.inventory import Entry, Inventory
from quaver.provision.identity import new_code
from quaver.provision.labels import Label, picture
from quaver.provision.runs import Runs, runs_path

ID = bytes.fromhex("e661640843217a2b")
CODE = new_code()
HARM = "<img src=q onerror=a()>"


def label_png() -> bytes:
    return picture(Label(ID, CODE, "drive-end"))


@pytest.fixture
def camera(served: Served, tmp_path: Path) -> Iterator[Page]:
    """A technician's phone, whose camera sees a label on a table, a little turned."""
    table = Image.new("RGB", (640, 480), (150, 140, 120))
    found = Image.open(io.BytesIO(label_png())).convert("RGBA").resize((560, 299)).rotate(4, expand=True)
    table.paste(found, (30, 70), found)
    shot = io.BytesIO()
    table.save(shot, "JPEG", quality=80)
    (tmp_path / "camera.mjpeg").write_bytes(8 * shot.getvalue())
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", "--no-sandbox")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_path(),
            args=[*fake, f"--use-file-for-fake-video-capture={tmp_path / 'camera.mjpeg'}"],
        )
        context = browser.new_context(viewport=WIDTHS["phone"], locale="en-GB", reduced_motion="reduce")  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        secret = served.access.login("technician", GOOD, "127.0.0.1")
        context.add_cookies([{"name": "quaver_session", "value": secret, "url": served.url}])
        yield context.new_page()
        browser.close()


def narrow(page: Page, what: str) -> None:
    check_with_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), what


def test_a_label_before_the_camera_becomes_a_node_on_the_list(camera: Page, served: Served) -> None:
    page = camera
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda one: said.append(one.text) if one.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(f"{served.url}#/more")
    assert not [address for address in asked if "jsqr" in address], "loaded for this screen alone"
    page.get_by_role("link", name="Bringing in").first.click()
    page.get_by_role("button", name="Scan with the camera").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("e661 6408 4321 7a2b")
    expect(dialog).to_contain_text("not in it")
    dialog.get_by_label("Name of the node").fill("drive-end")
    narrow(page, "the node of a label")
    page.keyboard.press("Enter")
    expect(dialog.locator(".field.text").nth(1)).to_contain_text("Fill this in.")
    dialog.get_by_label("Machine (asset)").fill("pump-7")
    dialog.get_by_label("Mounting").select_option("rigid")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    row = page.get_by_role("row").filter(has_text="drive-end")
    expect(row).to_contain_text("not begun")
    # the camera goes on, and the label that still lies before it is not scanned again
    expect(page.get_by_role("button", name="Stop the camera")).to_be_visible()
    expect(page.locator("video")).to_be_visible()
    while page.evaluate("document.querySelector('video')?.currentTime ?? 1") <= 0.5:
        page.wait_for_timeout(50)
    expect(dialog).to_have_count(0)
    narrow(page, "the list")
    page.get_by_role("button", name="Stop the camera").click()
    expect(page.locator("video")).to_be_hidden()
    assert CODE in (served.folder / "page" / "plan.csv").read_text()
    with page.expect_download() as loading:
        page.get_by_role("link", name="Download the list").click()
    assert "drive-end" in (text := loading.value.path().read_text()) and CODE not in text
    # the code is nowhere in the page, its addresses, what the browser keeps, or the trail
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, location.href, document.cookie])")
    trail = [str(one) for one in served.access.audit.rows()]
    for text in (page.content(), kept, *asked, *trail):
        assert CODE not in text
    assert any("node planned" in one for one in trail)
    assert not said, said


def test_what_is_no_label_is_told_and_hands_do_what_a_camera_can_not(look: Any, tmp_path: Path) -> None:
    at: Looking = look(role="technician")
    # over plain http, from another machine, a browser has no camera for the page
    at.page.add_init_script("Object.defineProperty(window, 'isSecureContext', { value: false })")
    at.page.reload()
    page = at.go("#/bringing")
    expect(page.locator("main")).to_contain_text("The camera works over https")
    expect(page.get_by_role("button", name="Scan with the camera")).to_have_count(0)
    photo = page.locator("input[type=file]")
    said = page.locator(".scan-said")

    def shows(name: str, text: str) -> Path:
        segno.make_qr(text).save(str(tmp_path / name), scale=6, border=4)
        return tmp_path / name

    photo.set_input_files(shows("link.png", "https://example.org/"))
    expect(said).to_contain_text("not a label of a Quaver node")
    photo.set_input_files(shows("mistyped.png", f"QUAVER1:{ID.hex().upper()}:{'A' * 16}"))
    expect(said).to_contain_text("a symbol is mistyped")
    Image.new("RGB", (300, 200), (90, 90, 90)).save(tmp_path / "grey.png")
    photo.set_input_files(tmp_path / "grey.png")
    expect(said).to_contain_text("No code was found on this photo")
    (tmp_path / "text.png").write_text("no picture")
    photo.set_input_files(tmp_path / "text.png")
    expect(said).to_contain_text("no picture that this browser can read")
    (tmp_path / "label.png").write_bytes(label_png())
    photo.set_input_files(tmp_path / "label.png")
    expect(page.get_by_role("dialog")).to_contain_text("e661 6408 4321 7a2b")
    page.keyboard.press("Escape")
    # by keys alone
    page.get_by_role("button", name="Type it").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("e661 6408 4321 7a2b")
    page.keyboard.press("Tab")
    page.keyboard.type(CODE[:-1] + ("0" if CODE[-1] != "0" else "1"))
    page.keyboard.press("Enter")
    expect(page.locator(".form-error")).to_contain_text("a symbol is mistyped")
    page.get_by_label("Code of the label").fill(CODE.lower())
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Code of the labelknown")
    assert all(CODE not in address for address in at.asked)
    # the browser's own lines of refused requests
    assert all("400" in line for line in at.said), at.said


def test_a_run_is_seen_as_it_fails_is_resumed_and_ends_and_its_texts_stay_texts(look: Any, served: Served) -> None:
    node = bytes.fromhex("e661640843210001")
    at: Looking = look(role="technician")
    at.page.evaluate("() => { window.a = () => { window.__ran = 1; }; }")
    page = at.go("#/bringing")
    path = runs_path(served.inventory)
    with Runs(path) as runs, Inventory(served.inventory) as inventory:
        runs.tell(node, "join", "working", place=f"north/hall/a/p/{HARM}", fresh=True)
        row = page.get_by_role("row").filter(has_text="e661 6408 4321 0001")
        expect(row).to_contain_text("at work")
        expect(row).to_contain_text("5/11 · the node joins its network")
        expect(row).to_contain_text(HARM)
        runs.tell(node, "join", "failed", f"the node can't join {HARM}: wifi wrong password")
        expect(row).to_contain_text(f"can't join {HARM}: wifi wrong password")
        expect(row).to_contain_text("Check name and password of the network in wifi.toml")
        narrow(page, "failed")
        runs.tell(node, "check", "working")
        expect(row).to_contain_text("9/11 · waits for the node at the broker")
        inventory.put(Entry(node, "p-1", asset="p", state="in service"))
        runs.tell(node, "list", "done")
        expect(row).to_contain_text("in service")
        narrow(page, "in service")
    row.get_by_role("button", name="Put p-1 on the list").click()
    expect(page.get_by_role("dialog")).to_contain_text("gives it a new key")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Take p-1 away").click()
    page.get_by_role("dialog").get_by_role("button", name="Take it away").click()
    expect(row).to_have_count(0)
    assert page.evaluate("window.__ran") is None and not at.said, at.said


def test_a_viewer_is_offered_nothing_of_it(look: Any) -> None:
    at: Looking = look(role="viewer")
    expect(at.page.get_by_role("link", name="Bringing in")).to_have_count(0)
    at.page.evaluate("location.hash = '#/bringing'")
    expect(at.page.locator("main")).to_contain_text("it needs the scope commands")
