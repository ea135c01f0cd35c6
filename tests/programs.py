"""The MicroPython programs of tests: files in programs/<test module>/ beside the tests, where ruff sees them."""

from pathlib import Path


def program(test: str, name: str, **given: object) -> str:
    """The source of programs/`module`/`name`.py for the test file `test` (its `__file__`), test_`module`.py.

    given: module-level names that the program reads, with values whose repr is their source.
    """
    path = Path(test)
    source = (path.parent / "programs" / path.stem.removeprefix("test_") / f"{name}.py").read_text(encoding="utf-8")
    return "".join(f"{key} = {value!r}\n" for key, value in given.items()) + source
