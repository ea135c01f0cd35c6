"""A module with a function of each kind, and a table, TABLE."""

import micropython


class Class:
    def method(self, n):
        return sum(TABLE[:n])


@micropython.native
def native(a, b):
    try:
        return a // b
    except ZeroDivisionError:
        return "not by 0"


@micropython.viper
def viper(n: int) -> int:
    x = 0
    while n:
        x += n
        n -= 1
    return x


@micropython.asm_thumb
def thumb(r0):
    mov(r1, 3)
    mul(r0, r1)
    add(r0, 1)
    mov(r2, r0)
    mov(r0, r2)
    add(r0, 1)
    sub(r0, 1)


def later(n):
    yield n
    yield from range(n, 0, -1)


def says():
    return "a text that is too long for a name", ("one", "and one in a tuple of constants")
