"""What device code asks of MicroPython's own module, for tests of that code under CPython."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def const(value: T) -> T:
    return value


def _unchanged(function: Callable[..., T]) -> Callable[..., T]:
    return function


native = viper = _unchanged


def heap_lock() -> None: ...


def heap_unlock() -> None: ...
