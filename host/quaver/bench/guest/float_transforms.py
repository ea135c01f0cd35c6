"""After times.py: a C float transform, called as float_fft.c describes. Given: sizes."""

import gc
import machine
import math
import micropython
import uctypes


# A jump with the return address set, which asm_thumb has no instruction for.
@micropython.asm_thumb
def call(r0, r1, r2, r3):
    mov(r4, r0)
    mov(r0, r1)
    mov(r1, r2)
    mov(r2, r3)
    bl(there)
    b(done)
    label(there)
    bx(r4)
    label(done)


with open("float_fft.bin", "rb") as file:
    code = bytearray(file.read())
# Numbers 0, 1, 2 and 11 of the bootrom's table of single-precision routines (RP2040 datasheet, 2.8.3.2).
entry = machine.mem16[0x16]
while machine.mem16[entry] != ord("S") | ord("F") << 8:
    entry += 4
table = machine.mem16[entry + 2]
start = uctypes.addressof(code)
for place, routine in enumerate((0, 1, 2, 11)):
    machine.mem32[start + 12 + 8 * place] = machine.mem32[table + 4 * routine]
for n in sizes:
    gc.collect()
    work = array("f", bytes(12 * n))
    for k in range(n // 2):
        work[2 * n + k] = math.sin(2 * math.pi * k / n)
        work[2 * n + n // 2 + k] = math.cos(2 * math.pi * k / n)
    src = samples(n)
    time_us = clock(call, start | 1, src, work, n) - idle
    transform = fft.RFFT(n)
    out = array("i", bytes(4 * n))
    scale = 2.0 ** -transform.run(src, out)
    largest = apart = 0.0
    for k in range(1, n // 2, n // 128):
        largest = max(largest, abs(work[k]), abs(work[n + k]))
        apart = max(apart, abs(out[2 * k] * scale - work[k]), abs(out[2 * k + 1] * scale - work[n + k]))
    print((n, time_us, apart / largest))
    work = src = transform = out = None
