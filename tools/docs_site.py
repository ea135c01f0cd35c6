"""Builds the documentation site from README.md, docs/, protocols/ and the docstrings of host and firmware.

    make docs        writes site/, and fails where a link leads nowhere

The pages lie in the site as they lie in the repository, so that one link serves both.
"""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / ".docs/pages"
SITE = ROOT / "site"

# reference page -> its rooms, as they lie below the root
PACKAGES = {
    "host": [path for path in sorted((ROOT / "host/quaver").iterdir()) if (path / "__init__.py").is_file()],
    "firmware": [path for path in sorted((ROOT / "firmware").iterdir()) if (path / "__init__.py").is_file()],
    "protocols": [ROOT / "protocols/quaver_wire"],
}
NOT_PAGES = {"guest", "unix_shim", "cli"}  # programs and commands, which `--help` tells of

CONFIG = """\
site_name: Quaver
docs_dir: {stage}
site_dir: {site}
theme:
  name: material
  font: false
  features: [navigation.sections, navigation.top, search.highlight, content.code.copy]
plugins:
  - search
  - mkdocstrings:
      handlers:
        python:
          paths: [{root}/host, {root}/firmware, {root}/protocols]
          options:
            show_source: false
            show_root_heading: true
            heading_level: 2
            docstring_style: null
            members_order: source
            allow_inspection: false
markdown_extensions: [tables, toc, admonition, pymdownx.superfences]
validation:
  links: {{not_found: warn, anchors: warn, unrecognized_links: info}}
nav:
{nav}
"""


def stage() -> list[str]:
    """Copy the pages, write the reference; the navigation's lines."""
    shutil.rmtree(STAGE, ignore_errors=True)
    for path in [*ROOT.glob("*.md"), ROOT / "LICENSE", *tracked("docs"), *tracked("protocols"), *linked()]:
        target = STAGE / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        # A fence keeps the indented blocks of the pages as they are; nothing else is changed.
        shutil.copyfile(path, target)
    nav = ["  - Start: README.md"]
    nav += [f"  - {title}: {page}" for title, page in pages()]
    nav += ["  - Formats:"] + [
        f"      - {title_of(path)}: protocols/{path.name}" for path in sorted((ROOT / "protocols").glob("*.md"))
    ]
    nav += ["  - Reference:"]
    for part, rooms in PACKAGES.items():
        nav.append(f"      - {part}:")
        for room in rooms:
            if room.name not in NOT_PAGES:
                page = reference(part, room)
                nav.append(f"          - {room.name}: {page}")
    nav += ["  - Changes: CHANGELOG.md"]
    return nav


def pages() -> Iterator[tuple[str, str]]:
    """Every page of docs/, in the order of its index, docs/README.md."""
    index = (ROOT / "docs/README.md").read_text()
    order = sorted((ROOT / "docs").glob("*.md"), key=lambda path: (index.find(f"]({path.name})"), path.name))
    for path in order:
        if path.name != "README.md":
            yield title_of(path), f"docs/{path.name}"
    yield "Contributing", "CONTRIBUTING.md"


def title_of(path: Path) -> str:
    return path.read_text().partition("\n")[0].removeprefix("# ").strip()


def tracked(folder: str) -> list[Path]:
    """What a page may link to beside pages: pictures, the schema, vectors, sources of the wire package."""
    kinds = {".md", ".svg", ".png", ".cddl", ".json", ".py"}
    return [
        path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in kinds and "__pycache__" not in str(path)
    ]


def linked() -> list[Path]:
    return [ROOT / "host/quaver/board/usb_ids.toml", ROOT / "host/quaver/board/chips.toml"]


def reference(part: str, room: Path) -> str:
    """Write the page of one room: its modules with their docstrings."""
    page = f"reference/{part}/{room.name}.md"
    package = ".".join(room.relative_to(ROOT / part).parts)
    lines = [f"# {room.name}\n", f"{ast.get_docstring(ast.parse((room / '__init__.py').read_text())) or ''}\n"]
    for path in sorted(room.rglob("*.py")):
        inner = path.relative_to(room)
        if NOT_PAGES & set(inner.parts) or path.name == "__init__.py" or path.name.startswith("_"):
            continue
        lines.append(f"::: {package}.{'.'.join(inner.with_suffix('').parts)}\n")
    (STAGE / page).parent.mkdir(parents=True, exist_ok=True)
    (STAGE / page).write_text("\n".join(lines))
    return page


def main() -> int:
    nav = stage()
    config = STAGE.parent / "mkdocs.yml"
    config.write_text(CONFIG.format(stage=STAGE, site=SITE, root=ROOT, nav="\n".join(nav)))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(config)], check=False
    )
    if done.returncode == 0:
        print(f"{SITE.relative_to(ROOT)}/index.html")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
