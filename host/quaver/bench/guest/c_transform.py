"""After times.py: the same of a C transform, called as c_code/start.h describes. Given: glue, floats, lengths."""

import machine
import math
import micropython
import uctypes


# Calls the code at r3: a jump with the return address set, which asm_thumb has no instruction for.
@micropython.asm_thumb
def call(r0, r1, r2, r3):
    bl(there)
    b(done)
    label(there)
    bx(r3)
    label(done)
    mov(r0, 0)  # what is left in it may be a number that has to be allocated


def find_routines(start):
    # Numbers 0, 1, 2 and 11 of the bootrom's table of single-precision routines (RP2040 datasheet, 2.8.3.2).
    entry = machine.mem16[0x16]
    while machine.mem16[entry] != ord("S") | ord("F") << 8:
        entry += 4
    table = machine.mem16[entry + 2]
    for place, routine in enumerate((0, 1, 2, 11)):
        machine.mem32[start + 20 + 8 * place] = machine.mem32[table + 4 * routine]


with open(glue + ".bin", "rb") as file:
    code = bytearray(file.read())
start = uctypes.addressof(code)
if floats:
    find_routines(start)
prepare, run = start | 1, start + 8 | 1
returns = array("H", (0x4770,))  # bx lr
idle = uctypes.addressof(returns) | 1
for n in lengths:
    gc.collect()
    turn = array("f" if floats else "h", bytes((4 if floats else 2) * n))
    for k in range(n):
        cosine = math.cos(2 * math.pi * k / n)
        turn[k] = cosine if floats else math.floor(0.5 + 32767 * cosine)
    work = bytearray(12 * n + 512)
    call(turn, work, n, prepare)
    source = array("h", bytes(2 * n))
    for block in blocks(n):
        time_us = shortest(lambda: call(source, work, n, idle), source, block)
        time_us = shortest(lambda: call(source, work, n, run), source, block) - time_us
        print((n, time_us, 0, b2a_base64(memoryview(work)[: (8 if floats else 2) * n])))
    turn = work = source = block = None
code = None
