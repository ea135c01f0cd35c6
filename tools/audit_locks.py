"""Asks OSV (osv.dev) by pip-audit whether a locked dependency has a known vulnerability.

    make audit

Ends with 1 where one has, and names it. Where OSV does not answer, nothing is known: it says so, and ends with 0, so
that a machine without the internet can still run all other checks. `audit_exceptions.toml` has what is passed over,
with the reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCKS = ("run.txt", "dev.txt", "docs.txt", "uv.txt", "fuzz.txt")
OSV = "https://api.osv.dev/v1/query"
_LONGEST_S = 300
_NO_ANSWER = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "SSLError", "ProxyError", "ServiceError", "HTTPError")


def audit(lock: Path, exceptions: dict[str, str], url: str = OSV) -> list[str] | None:
    """The vulnerabilities of a lock, a line each; None where the service does not answer."""
    asked = [sys.executable, "-m", "pip_audit", "--vulnerability-service=osv", "--disable-pip", "--no-deps", "--strict"]
    asked += ["--require-hashes", "--progress-spinner=off", "--timeout=15", "--format=json", f"--osv-url={url}"]
    asked += ["-r", str(lock)]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return None
    try:
        dependencies = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        if any(name in answer.stderr for name in _NO_ANSWER):
            return None
        sys.exit(f"audit: pip-audit failed on {lock.name}: {answer.stderr.strip().splitlines()[-1:]}")
    found = []
    for dependency in dependencies:
        for known in dependency["vulns"]:
            if not {known["id"], *known["aliases"]} & set(exceptions):
                fixed = f"fixed in {', '.join(known['fix_versions'])}" if known["fix_versions"] else "not fixed yet"
                found.append(f"{lock.name}: {dependency['name']} {dependency['version']}: {known['id']}, {fixed}")
    return found


def main() -> int:
    exceptions = tomllib.loads((HERE / "audit_exceptions.toml").read_text())
    found: list[str] = []
    for name in LOCKS:
        lines = audit(HERE.parent / "locks" / name, exceptions)
        if lines is None:
            print(
                f"audit: WARNING: osv.dev is not reachable from here: {name} was NOT checked for known vulnerabilities"
            )
            break  # the others would wait as long
        print(f"audit: locks/{name}: {len(lines) or 'no'} known vulnerabilities")
        found += lines
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
