"""Builds the package as it is published, sums it and signs it.

    tools/package_release.py dist/ --key release-key.pem

The folder gets the wheel, the sdist, locks/run.txt as quaver-VERSION.lock.txt, the bill of materials, SHA256SUMS, and
SHA256SUMS.sig: ECDSA on P-256 with SHA-256 in DER, by the key that signs releases for nodes. The same commit gives the
same bytes on any machine, the signature included (RFC 6979). How to verify it with openssl: SECURITY.md.
The passphrase is asked for, or taken from QUAVER_RELEASE_PASSPHRASE.
"""

from __future__ import annotations

import argparse
import getpass
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from quaver import __version__
from quaver.board.spec import board_names, load_board
from quaver.errors import QuaverError
from quaver.release.host_sbom import host_bill
from quaver.release.signing import PrivateKey, default_key, read_private_key

ROOT = Path(__file__).resolve().parents[1]
SUMS, SIGNATURE = "SHA256SUMS", "SHA256SUMS.sig"


def build(folder: Path, root: Path = ROOT) -> list[Path]:
    """The wheel and the sdist of the sources below `root`, dated by their last commit."""
    asked = ["git", "-C", str(root), "log", "-1", "--format=%ct"]
    date = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    environment = os.environ | {"SOURCE_DATE_EPOCH": date}
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(folder.resolve())]
    made = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    if made.returncode:
        raise QuaverError(f"{root}: the package can't be built: {made.stderr.strip()}")
    return sorted([*folder.glob("*.whl"), *folder.glob("*.tar.gz")])


def sign(folder: Path, key: PrivateKey) -> None:
    """Write SHA256SUMS, of all other files of the folder, and its signature."""
    names = sorted(path.name for path in folder.iterdir() if path.name not in (SUMS, SIGNATURE))
    sums = "".join(f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
    (folder / SUMS).write_text(sums)
    (folder / SIGNATURE).write_bytes(key.sign_bytes(sums.encode()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to; made, and must be empty")
    parser.add_argument("--key", type=Path, default=default_key(), help="the private key; by default that of releases")
    asked = parser.parse_args()
    try:
        asked.folder.mkdir(parents=True, exist_ok=True)
        if any(asked.folder.iterdir()):
            raise QuaverError(f"{asked.folder}: is not empty; name a new folder")
        passphrase = os.environ.get("QUAVER_RELEASE_PASSPHRASE") or getpass.getpass("Passphrase: ")
        key = read_private_key(asked.key, passphrase)
        build(asked.folder)
        (asked.folder / f"quaver-{__version__}.lock.txt").write_bytes((ROOT / "locks/run.txt").read_bytes())
        bill = host_bill(__version__, [load_board(name) for name in board_names()])
        if bill.unlocked:
            raise QuaverError(f"not installed as locked: {', '.join(bill.unlocked)}; run make .venv/installed")
        (asked.folder / f"quaver-{__version__}.cdx.json").write_bytes(bill.document)
        sign(asked.folder, key)
    except QuaverError as error:
        print(f"package_release: {error}", file=sys.stderr)
        return error.exit_code
    print((asked.folder / SUMS).read_text() + f"signed by key {key.public.key_id.hex()}: {asked.folder / SIGNATURE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
