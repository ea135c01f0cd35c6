"""The page of FUXA, an open SCADA in the browser (MIT), weighed beside ours: from its package, as npm has it."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from pathlib import Path

from quaver.bench import Figure
from quaver.errors import PageError

_PAGE = "package/dist/"
_NAMED = re.compile(rb'(?:src|href)="([^"#:?]+)"')
_PACKED = (".js", ".css", ".html", ".svg")  # what a server may compress; pictures are compressed already
_MOST_BYTES = 64 << 20  # of a file in it


def weigh(package: Path) -> Figure:
    """What its first page names, compressed as ours is. package: of `npm pack @frangoteam/fuxa`. Raises PageError."""
    try:
        with tarfile.open(package) as archive:
            files = {member.name: member for member in archive.getmembers() if member.isfile()}

            def read(name: str) -> bytes:
                file = archive.extractfile(files[name])
                return file.read(_MOST_BYTES) if file else b""

            version = json.loads(read("package/package.json"))["version"]
            index = read(f"{_PAGE}index.html")
            named = dict.fromkeys(name.decode() for name in _NAMED.findall(index))
            parts = {name: read(f"{_PAGE}{name}") for name in named if f"{_PAGE}{name}" in files}
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise PageError(f"{package}: is no package of FUXA ({error}); fetch one: npm pack @frangoteam/fuxa") from error
    parts["index.html"] = index
    size = sum(len(gzip.compress(part, 9) if name.endswith(_PACKED) else part) for name, part in parts.items())
    return Figure(f"beside it FUXA {version}: its first page's files, compressed", round(size / 1000, 1), "kB")
