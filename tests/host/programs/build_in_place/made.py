"""A module with a function of each kind, and a table, TABLE."""

import micropython


@micropython.viper
def one(x: int) -> int:
    return x + 1


@micropython.native
def two(x):
    def inner(y):
        return x + y

    return inner


class Three:
    def four(self):
        yield from (4, (5, "six"), b"seven")
