"""What a file is by its first bytes, whatever its name: a pointer, a web page, an archive, another format."""

from __future__ import annotations

import re
from pathlib import Path

from quaver.errors import RecordingError

# What starts so can't be read, and what to do.
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a Git LFS pointer and not the recording itself: fetch it with git lfs pull"),
    (b"/annex/objects/", "is a git-annex pointer and not the recording itself: fetch it with git annex get"),
    (b"\x1f\x8b", "is compressed with gzip: unpack it (gunzip)"),
    (b"BZh", "is compressed with bzip2: unpack it (bunzip2)"),
    (b"\xfd7zXZ\x00", "is compressed with xz: unpack it (unxz)"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd: unpack it (unzstd)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive: unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel (.xls) or other Office document: save its sheet as .csv"),
    (b"%PDF-", "is a PDF document: get the recording itself"),
    (b"\x89PNG", "is a picture: get the recording itself"),
    (b"\xff\xd8\xff", "is a picture: get the recording itself"),
    (b"PAR1", "is a Parquet file: save it as .csv or .npz"),
    (b"SQLite format 3\x00", "is an SQLite database: save the recording as .csv or .npz"),
    (b"ID3", "is an MP3 file, which keeps no exact samples: record it as .wav"),
    (b"fLaC", "is a FLAC file: convert it to .wav"),
    (b"OggS", "is an Ogg file: convert it to .wav"),
    (b"\x80\x04\x95", "is a Python pickle, which may run code and is never loaded: save it with numpy.savez"),
    (b"\x80\x03", "is a Python pickle, which may run code and is never loaded: save it with numpy.savez"),
    (b"\x80\x05\x95", "is a Python pickle, which may run code and is never loaded: save it with numpy.savez"),
)
# The formats that are read, by their first bytes, and the suffixes that say them.
_KINDS: tuple[tuple[bytes, str, tuple[str, ...]], ...] = (
    (b"RIFF", "a WAV file", (".wav",)),
    (b"RF64", "a WAV file", (".wav",)),
    (b"\x93NUMPY", "a NumPy array", (".npy",)),
    (b"MATLAB ", "a MATLAB file", (".mat",)),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", (".h5", ".hdf5", ".hdf", ".mat")),
    (b"TDSm", "a TDMS file", (".tdms",)),
)
_PAGE = re.compile(rb"(?i)\s*(<!doctype\s+html|<html|<head|<\?xml|<!--)")


def check_disguise(path: Path) -> None:
    """Raise RecordingError, naming what the file is, if its bytes are of something else than its name says."""
    with path.open("rb") as file:
        head = file.read(4096)
    bare = head.removeprefix(b"\xef\xbb\xbf")
    for start, what in _FOREIGN:
        if bare.startswith(start):
            raise RecordingError(f"{path}: {what}")
    if _PAGE.match(bare):
        raise RecordingError(f"{path}: is a saved web page (HTML or XML), not a recording: download the file itself")
    if re.match(rb'\s*[{\[]\s*("|\{|\[)', bare):
        raise RecordingError(f"{path}: is JSON, perhaps a server's error message: download the recording itself")
    suffix = path.suffix.lower()
    if head.startswith(b"PK\x03\x04") and suffix != ".npz":
        raise RecordingError(f"{path}: {_zipped(path)}")
    for start, what, suffixes in _KINDS:
        if head.startswith(start) and suffix not in suffixes:
            raise RecordingError(f"{path}: is {what}: give it a name that ends in {suffixes[0]}")


def _zipped(path: Path) -> str:
    import zipfile

    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError):
        return "is a ZIP archive that is cut short: fetch it again"
    if any(name.startswith("xl/") for name in names):
        return "is an Excel workbook (.xlsx): save its sheet as .csv"
    if names and all(name.endswith(".npy") for name in names):
        return "is a NumPy archive: give it a name that ends in .npz"
    return "is a ZIP archive: unpack it"
