"""The page's own files: what of others is in them, what they weigh, and what they may not hold."""

import gzip
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from quaver.release.host_sbom import vendored

STATIC = Path(__file__).resolve().parents[3] / "host/quaver/serve/static"
OURS = sorted(path for path in STATIC.rglob("*.js") if "vendor" not in path.parts)

MOST_BYTES = 300_000  # compressed: all that the page can ever load


def test_what_others_made_is_as_they_published_it() -> None:
    found = {
        path.relative_to(STATIC / "vendor").as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (STATIC / "vendor").rglob("*")
        if path.is_file()
    }
    assert found == {path: digest for part in vendored() for path, digest in part["files"].items()}


def test_the_whole_page_weighs_less_than_300_kb_compressed() -> None:
    weights = {path: len(gzip.compress(path.read_bytes(), 9)) for path in STATIC.rglob("*") if path.is_file()}
    assert 0 < sum(weights.values()) <= MOST_BYTES, weights


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts = 0
        self.texts = ""
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style"):
            self.texts += data.strip()


def test_the_first_page_has_no_script_or_style_inside_and_names_files_that_are_there() -> None:
    page = _Elements()
    page.feed((STATIC / "index.html").read_text())
    assert not page.texts
    assert not [name for _, name, _ in page.attributes if name == "style" or name.startswith("on")]
    files = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert len(files) > 5
    for file in files:
        assert (STATIC / file).is_file(), file


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)
def test_text_goes_into_the_page_as_text_and_nothing_comes_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    for forbidden in (
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "srcdoc",
    ):
        assert forbidden not in text, forbidden
    addresses = set(re.findall(r"https?://[\w.-]+", text))
    assert addresses <= {"http://www.w3.org"}, "a namespace alone"
    assert len(text.splitlines()) <= 450


def test_every_import_and_every_icon_is_there() -> None:
    symbols = {each.get("id") for each in ElementTree.parse(STATIC / "icons.svg").getroot().iter() if each.get("id")}
    assert {"ok", "warning", "alarm", "gone", "unknown", "offline"} <= symbols
    for path in OURS:
        text = path.read_text()
        for name in re.findall(r"\bicon\(\"([\w-]+)\"|symbol: \"([\w-]+)\"", text):
            assert set(filter(None, name)) <= symbols, (path, name)
        for name in re.findall(r"from \"(\./[^\"]+|\.\./[^\"]+)\"", text):
            assert (path.parent / name).resolve().is_file(), (path, name)


def _words(text: str, language: str) -> set[str]:
    block = re.search(rf"^  {language}: \{{(.*?)^  \}}", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"\"([a-z]+\.[\w.-]+)\":", block[1])) if block else set()


def test_both_languages_have_the_same_words_and_each_key_that_is_used() -> None:
    everywhere: set[str] = set()
    for path in OURS:
        text = path.read_text()
        english, german = _words(text, "en"), _words(text, "de")
        assert english == german, (path, english ^ german)
        everywhere |= english
    assert len(everywhere) > 50
    for path in OURS:
        used = set(re.findall(r"(?<![\w.])t\(\"([a-z]+\.[\w.-]+)\"", path.read_text()))
        assert used <= everywhere, (path, used - everywhere)


def _luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb": WCAG 2.2, definition in section 5."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    r, g, b = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_tokens_have_the_contrast_that_wcag_asks_for(scheme: str) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (STATIC / "style.css").read_text(), re.DOTALL)
    tokens: dict[str, str] = {}
    for block in blocks[: 1 if scheme == "light" else 2]:
        tokens |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    grounds = ("ground", "surface", "raised")
    texts = [(text, ground) for text in ("text", "muted", "accent") for ground in grounds]
    texts += [("on-accent", "accent"), ("accent", "accent-soft")]
    for state in ("ok", "warning", "alarm", "gone"):
        texts += [(state, ground) for ground in (*grounds, f"{state}-soft")]
    texts += [("on-state", "alarm")]
    for text, ground in texts:
        assert _contrast(tokens[text], tokens[ground]) >= 4.5, (text, ground)
    # 1.4.11: what a control or a line of a chart is told by
    for part in ("edge", "warning-fill", "series-1", "series-2", "series-3", "series-4"):
        for ground in ("ground", "surface"):
            assert _contrast(tokens[part], tokens[ground]) >= 3, (part, ground)
