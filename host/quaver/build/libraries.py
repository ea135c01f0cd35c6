"""The build room's device libraries that a board's official image lacks and no registry has.

aioble is part of the Pico W's image. For an ESP32 it comes from where `mip` takes it, micropython-lib at the tag of the
image's version, each file pinned; offline, before it was fetched once, the build goes on without and says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from quaver.board.spec import BoardSpec
from quaver.build.compile import compile_mpy
from quaver.errors import ArtifactError
from quaver.files.pinned import Artifact, Progress, fetch

_AIOBLE_URL = (
    "https://raw.githubusercontent.com/micropython/micropython-lib/v1.27.0/micropython/bluetooth/aioble/aioble/"
)
# Of micropython-lib's tag v1.27.0 (MIT).
_AIOBLE = {
    "__init__.py": "735eb2f71c857b5f13db3b7f7179e49bfe8438bed42b8e6c89ac796121fe193c",
    "central.py": "3ffca35829b2ba978b5f72ab785514d2da2d11c7ada2395a021cf76d5dbe8502",
    "client.py": "b117e9070d19eed1ffb4728b3c50515b4a7377b9b4d5b116cf9989849b81852c",
    "core.py": "966d147542de50b8d4cbe06671a2a6d0633c0e426083b0ad2d6a888a03569414",
    "device.py": "056708daee94d94d1fbba22566b9cd3591ed002e1325a2baa8d8c922282108a7",
    "l2cap.py": "ca504df10240621f44854321a05e2b0354c36740cf83a8102669bd97c52edd88",
    "peripheral.py": "4aea6302bc0cc703a9f0b1fa44db0c0089daac736460ccd64dc33b9725e73b6c",
    "security.py": "c4e0510e43efc8f7cf32d94fd721045c7c19ee9f5eba9c00d3f30177beada24a",
    "server.py": "6253b57dd3d4fcdad4cc0226c3501fbcc63f7780e48b610f83b0de80f1d5bec4",
}


@dataclass(frozen=True)
class Libraries:
    """files: path on the device -> bytes. missing: one line for each library that could not be had, with the reason."""

    files: dict[str, bytes]
    missing: tuple[str, ...] = ()


def device_libraries(spec: BoardSpec, progress: Progress | None = None) -> Libraries:
    """What goes into lib/ of a board beside what `firmware_files` puts there. Raises BuildError."""
    if "aioble" in spec.silicon.frozen:
        return Libraries({})
    files: dict[str, bytes] = {}
    for name, sha256 in _AIOBLE.items():
        artifact = Artifact("packages/aioble-v1.27.0", name, sha256, _AIOBLE_URL + name)
        try:
            source = fetch(artifact, progress).read_bytes()
        except ArtifactError as error:
            return Libraries({}, (f"without aioble, and so without Bluetooth: {error}",))
        files[f"lib/aioble/{name.removesuffix('.py')}.mpy"] = compile_mpy(source, f"aioble/{name}", spec.arch)
    return Libraries(files)
