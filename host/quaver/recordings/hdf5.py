"""Arrays of an HDF5 file, read in a process of its own: a damaged file can keep the HDF5 library in a loop for ever.

That process is this file, run as a script: it knows h5py and numpy alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_LIMIT_S = 60.0  # for a file without data; the slowest disk and processor read a megabyte in a second
_BYTES_A_SECOND = 1e6
_NUMBERS = "iufcb"
_TEXTS_MOST = 1000  # of an attribute; no unit or rate has so many


class HDF5Error(Exception):
    """It can't be read, and why."""


def hdf5_arrays(path: Path) -> dict[str, Any]:
    """Datasets of numbers by their path, and attributes: "fs" and "rpm" by their name, others behind their dataset's.

    Raises HDF5Error.
    """
    import numpy as np

    limit_s = _LIMIT_S + path.stat().st_size / _BYTES_A_SECOND
    with tempfile.TemporaryDirectory(prefix="quaver-hdf5-") as folder:
        out = Path(folder) / "arrays.npz"
        words = [sys.executable, "-I", __file__, str(path.absolute()), str(out)]
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s)
        except subprocess.TimeoutExpired:
            raise HDF5Error(f"it was not read in {limit_s:.0f} s") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise HDF5Error(said[-1] if said else "the HDF5 library ended with it")
        with np.load(out, allow_pickle=False) as file:
            return {str(name): file[f"a{place}"] for place, name in enumerate(file["names"])}


def read_here(path: str) -> dict[str, Any]:
    """The same in this process. Raises HDF5Error; a damaged file can keep it for ever."""
    import h5py

    found: dict[str, Any] = {}

    def visit(name: str, thing: Any) -> None:
        for key, value in thing.attrs.items():
            found.setdefault(str(key) if key.lower() in ("fs", "rpm") else f"{name}/{key}".strip("/"), value)
        if name.startswith("#") or not isinstance(thing, h5py.Dataset):
            return
        if thing.dtype.kind in _NUMBERS and thing.attrs.get("MATLAB_class", b"") not in (b"char", b"cell"):
            found[name] = thing[()]

    try:
        with h5py.File(path, "r") as file:
            for key, value in file.attrs.items():
                found[str(key)] = value
            file.visititems(visit)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise HDF5Error(" ".join(str(error).split())) from error
    return {name: array for name, value in found.items() if (array := _plain(value)) is not None}


def _plain(value: Any) -> Any:
    """Numbers and texts as an array of them; None for what else an attribute can be."""
    import numpy as np

    array = np.asarray(value)
    if array.dtype.kind == "O" and array.size <= _TEXTS_MOST:
        texts = [one.decode(errors="replace") if isinstance(one, bytes) else one for one in array.reshape(-1).tolist()]
        if all(isinstance(one, str) for one in texts):
            array = np.array(texts, dtype="U").reshape(array.shape)
    return array if array.dtype.kind in _NUMBERS + "SU" else None


def _main(path: str, out: str) -> None:
    import numpy as np

    try:
        found = read_here(path)
    except HDF5Error as error:
        sys.exit(str(error))
    arrays = {f"a{place}": array for place, array in enumerate(found.values())}
    np.savez(out, names=np.array(list(found), dtype="U"), **arrays)


if __name__ == "__main__":
    _main(*sys.argv[1:])
