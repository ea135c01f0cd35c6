"""The bill of materials of this installation, CycloneDX 1.6 in JSON: quaver, and all of others that it runs on."""

from __future__ import annotations

import re
import subprocess
import tomllib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.resources import files
from typing import Any

from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from quaver.board.spec import BoardSpec
from quaver.files.carried import payload
from quaver.release.sbom import as_json, component, device_parts

NOT_FOR_PLANTS = frozenset({"dev", "docs", "bench"})  # extras for work on the project
_NAME = "quaver"
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/bom/quaver-host")
_LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: *; *([^\\]+?))? *\\?$", re.M)
_LICENCE_MOST = 64  # characters: some packages have the whole text there


@dataclass(frozen=True)
class HostBill:
    """document: JSON in UTF-8, without a date. unlocked: what is not installed at the version of the lock, in words."""

    document: bytes
    unlocked: tuple[str, ...]


def host_bill(version: str, specs: Sequence[BoardSpec]) -> HostBill:
    """The bill of the Python packages as they are installed here, of the page, the system's packages and the boards."""
    quaver = component(_NAME, version, ComponentType.APPLICATION, PackageURL("pypi", name=_NAME, version=version))
    installed = _installed()
    libraries = {name: _library(found) for name, found in installed.items() if name != _NAME}
    others = [*_vendored(), *_debian(), *device_parts(specs)]
    bom = Bom(components=[*libraries.values(), *others], metadata=BomMetaData(component=quaver))
    for name, found in installed.items():
        needs = sorted({need for need, _ in _needs(found)} & set(libraries))
        parts = [libraries[need] for need in needs]
        bom.register_dependency(libraries.get(name, quaver), parts if name != _NAME else [*parts, *others])
    said = " ".join(sorted(str(part.bom_ref.value) for part in bom.components))
    bom.serial_number = uuid.uuid5(_NAMESPACE, f"{version} {said}")
    return HostBill(as_json(bom), tuple(_unlocked(installed)))


def locked(text: str) -> dict[str, set[str]]:
    """Name -> the versions of a lock: several where they differ by Python or system."""
    found: dict[str, set[str]] = {}
    for name, version, _ in _LOCKED.findall(text):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def vendored() -> list[Mapping[str, Any]]:
    """What of others is in the page: name, version, licence, files (path below vendor/ -> SHA-256)."""
    found: list[Mapping[str, Any]] = _parts()["vendored"]
    return found


def debian_packages() -> list[str]:
    """The system's packages that `tools/setup-system` may install."""
    found: list[str] = _parts()["debian"]["packages"]
    return found


@lru_cache
def _parts() -> dict[str, Any]:
    return tomllib.loads((files("quaver.release") / "parts.toml").read_text())


def _installed() -> dict[str, Distribution]:
    """Name -> distribution: quaver, and what it needs, the extras for plants included where they are installed."""
    found: dict[str, Distribution] = {}
    open_: list[tuple[str, frozenset[str]]] = [(_NAME, _extras())]
    seen: set[tuple[str, frozenset[str]]] = set()
    while open_:
        name, extras = open_.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found.setdefault(name, distribution(name))
        except PackageNotFoundError:
            continue  # an extra that is not installed
        open_ += _needs(found[name], extras)
    return dict(sorted(found.items()))


def _extras() -> frozenset[str]:
    return frozenset(distribution(_NAME).metadata.get_all("Provides-Extra") or []) - NOT_FOR_PLANTS


def _needs(found: Distribution, extras: frozenset[str] | None = None) -> list[tuple[str, frozenset[str]]]:
    """What a distribution needs on this system: name and extras. extras: of its own, None: those for plants."""
    own = (_extras() if found.name == _NAME else frozenset()) if extras is None else extras
    needs: list[tuple[str, frozenset[str]]] = []
    for line in found.requires or []:
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *own)):
            needs.append((canonicalize_name(need.name), frozenset(need.extras)))
    return needs


def _library(found: Distribution) -> Component:
    name = canonicalize_name(found.name)
    return component(
        name,
        found.version,
        ComponentType.LIBRARY,
        PackageURL("pypi", name=name, version=found.version),
        licence=_licence(found),
    )


def _licence(found: Distribution) -> str | None:
    named = [text for field in ("License-Expression", "License") for text in found.metadata.get_all(field) or []]
    said = next(filter(None, named), "")
    if said and len(said) <= _LICENCE_MOST and "\n" not in said:
        return said
    classified = [
        line.rpartition(" :: ")[2]
        for line in found.metadata.get_all("Classifier") or []
        if line.startswith("License :: ")
    ]
    return " and ".join(classified) or _parts()["licences"].get(canonicalize_name(found.name))


def _vendored() -> list[Component]:
    return [
        component(
            part["name"],
            part["version"],
            ComponentType.LIBRARY,
            PackageURL("npm", name=part["name"], version=part["version"]),
            licence=part["licence"],
        )
        for part in vendored()
    ]


def _debian() -> list[Component]:
    return [
        component(
            f"debian/{name}",
            (version := _debian_version(name)),
            ComponentType.APPLICATION,
            PackageURL("deb", "debian", name, version),
            scope=ComponentScope.OPTIONAL,
        )
        for name in debian_packages()
    ]


def _debian_version(name: str) -> str | None:
    """None where the package, or Debian, is not here."""
    try:
        asked = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Version}", name]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    status, _, version = answer.partition(" ")
    return version if status == "installed" else None


def _unlocked(installed: Mapping[str, Distribution]) -> list[str]:
    want = locked(payload("locks", "run.txt").read_text())
    return [
        f"{name} {found.version} (locked: {', '.join(sorted(want[name])) if name in want else 'nothing'})"
        for name, found in installed.items()
        if name != _NAME and found.version not in want.get(name, set())
    ]
