"""What device code asks of MicroPython's own module, for tests of that code under CPython; and viper's pointers."""

import builtins
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def const(value: T) -> T:
    return value


def _unchanged(function: Callable[..., T]) -> Callable[..., T]:
    return function


native = viper = _unchanged


def _pointer(kind: str) -> Callable[[Any], memoryview]:
    return lambda buffer: memoryview(buffer).cast("B").cast(kind)  # type: ignore[call-overload, no-any-return]


for name, kind in (("ptr8", "B"), ("ptr16", "H"), ("ptr32", "i")):
    setattr(builtins, name, _pointer(kind))


def heap_lock() -> None: ...


def heap_unlock() -> None: ...
