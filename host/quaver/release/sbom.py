"""A release's bill of materials, CycloneDX 1.6 in JSON: the firmware, and what of others is on the boards."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from quaver.board.spec import BoardSpec, Image
from quaver.files.pinned import UMQTT

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/bom/quaver-firmware")
_MIT = "MIT"


def bill_of_materials(version: str, specs: Sequence[BoardSpec]) -> bytes:
    """The document as JSON in UTF-8, without a date: the same for the same version and boards.

    One component for each official image of MicroPython, by its SHA-256, and one for each library.
    """
    firmware = component("quaver-firmware", version, ComponentType.FIRMWARE, licence=_MIT)
    parts = device_parts(specs)
    bom = Bom(
        components=parts,
        metadata=BomMetaData(component=firmware),
        serial_number=uuid.uuid5(_NAMESPACE, " ".join([version, *(spec.name for spec in specs)])),
    )
    bom.register_dependency(firmware, parts)
    return as_json(bom)


def device_parts(specs: Sequence[BoardSpec]) -> list[Component]:
    """What of others runs on the boards."""
    parts = [_micropython(image) for image in _images(specs)]
    assert UMQTT.package is not None
    parts.append(
        component(
            UMQTT.package.project,
            UMQTT.package.version,
            ComponentType.LIBRARY,
            purl=PackageURL("pypi", name=UMQTT.package.project.lower(), version=UMQTT.package.version),
            sha256=UMQTT.sha256,
            licence=_MIT,
        )
    )
    versions = sorted({image.version for image in _images(specs)})
    # micropython-lib is released with MicroPython; where no image has it frozen it comes from one that has
    return parts + [
        component("aioble", number, ComponentType.LIBRARY, _github("micropython-lib", number), licence=_MIT)
        for number in versions
    ]


def as_json(bom: Bom) -> bytes:
    """The document in UTF-8, without a date."""
    bom.metadata.timestamp = None  # type: ignore[assignment]
    return JsonV1Dot6(bom).output_as_string(indent=1).encode()


def _images(specs: Iterable[BoardSpec]) -> list[Image]:
    return [spec.image for spec in specs if spec.image is not None and spec.image.sha256]


def _micropython(image: Image) -> Component:
    return component(
        f"micropython {image.filename}",
        image.version,
        ComponentType.FIRMWARE,
        purl=_github("micropython", image.version),
        sha256=image.sha256,
        url=image.url,
        licence=_MIT,
    )


def _github(name: str, version: str) -> PackageURL:
    return PackageURL("github", "micropython", name, f"v{version}")


def component(
    name: str,
    version: str | None,
    kind: ComponentType,
    purl: PackageURL | None = None,
    sha256: str | None = None,
    url: str | None = None,
    licence: str | None = None,
    scope: ComponentScope | None = None,
) -> Component:
    """licence: an SPDX expression, or a licence's name where it has none."""
    return Component(
        name=name,
        version=version,
        type=kind,
        bom_ref=f"{name}@{version}" if version else name,
        purl=purl,
        scope=scope,
        licenses=[LicenseFactory().make_from_string(licence)] if licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else [],
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(url))] if url else [],
    )
