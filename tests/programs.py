"""The MicroPython programs of tests: files in programs/<test module>/ beside the tests, where ruff sees them."""

from pathlib import Path

from quaver.board.guest import source


def program(test: str, name: str, /, **given: object) -> str:
    """The source of programs/`module`/`name`.py for the test file `test` (its `__file__`), test_`module`.py.

    given: module-level names that the program reads, with values whose repr is their source.
    """
    path = Path(test)
    return source(path.parent / "programs" / path.stem.removeprefix("test_") / f"{name}.py", given)
