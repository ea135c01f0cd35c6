"""The broker of docs/mosquitto.md, run from that very page."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "mosquitto.md"


def blocks(kind: str) -> list[str]:
    """The page's fenced blocks of one kind, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def lay_out(folder: Path, users: Mapping[str, str], names: str) -> str:
    """Make the page's files in `folder`; returns the configuration's lines but its listener.

    users: name -> password. names: what the broker's certificate is for, "IP:127.0.0.1,DNS:localhost".
    """
    folder.mkdir(parents=True, exist_ok=True)
    (config,), (acl,) = blocks("conf"), blocks("acl")
    passwords, certificates = blocks("sh")
    (folder / "acl").write_text(acl)
    (folder / "acl").chmod(0o600)
    (folder / "passwords").write_text("".join(f"{user}:{password}\n" for user, password in users.items()))
    script = passwords + re.sub(r"^NAME=.*$", f"NAME={names}", certificates, flags=re.MULTILINE)
    subprocess.run(["sh", "-eu", "-c", script], cwd=folder, check=True, capture_output=True)
    lines = [line for line in config.splitlines() if line and not line.startswith(("#", "listener", "persistence"))]
    where = {"certfile", "keyfile", "password_file", "acl_file"}
    return "\n".join(
        f"{key} {folder / value}" if key in where else line
        for line, (key, _, value) in ((line, line.partition(" ")) for line in lines)
    )
