"""warp.warp for the RP2040, in its own assembly: the same bits.

passes_thumb.py says how the registers are used.
"""

import micropython


@micropython.asm_thumb
def warp(r0, r1, r2):
    """warp.warp. r1: next place in out. r3: place. r4: step. r5: the last sample that has a next one. r8: the end."""
    mov(r7, r8)
    push({r7})
    ldr(r3, [r2, 0])
    ldr(r7, [r2, 4])
    sub(r7, r7, r3)
    lsl(r7, r7, 1)
    lsl(r3, r3, 1)
    add(r1, r1, r3)
    add(r7, r7, r1)
    mov(r8, r7)
    ldr(r3, [r2, 8])
    ldr(r4, [r2, 12])
    ldr(r5, [r2, 16])
    sub(r5, 2)
    b(MORE)
    label(VALUE)
    lsr(r6, r3, 15)
    lsl(r7, r3, 17)
    lsr(r7, r7, 19)
    cmp(r6, r5)
    ble(WITHIN)
    mov(r6, r5)
    mov(r7, 1)
    lsl(r7, r7, 13)
    sub(r7, 1)
    label(WITHIN)
    lsl(r6, r6, 1)
    add(r6, r6, r0)
    ldrh(r2, [r6, 0])
    ldrh(r6, [r6, 2])
    lsl(r2, r2, 16)
    asr(r2, r2, 16)
    lsl(r6, r6, 16)
    asr(r6, r6, 16)
    sub(r6, r6, r2)
    mul(r6, r7)
    asr(r6, r6, 13)
    add(r6, r6, r2)
    strh(r6, [r1, 0])
    add(r1, 2)
    add(r3, r3, r4)
    label(MORE)
    mov(r7, r8)
    cmp(r1, r7)
    bne(VALUE)
    pop({r7})
    mov(r8, r7)
