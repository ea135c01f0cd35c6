"""The sums of sums.py for the RP2040, in its own assembly: the same bits in a sixth of the time.

passes_thumb.py says how the registers are used.
"""

import micropython


@micropython.asm_thumb
def span(r0, r1, r2, r3):
    """sums.span. r0: all parts so far, each against itself a place higher: the sign's changes. r1: bin. r2: the end."""
    lsl(r1, r1, 3)
    add(r1, r1, r0)
    lsl(r2, r2, 3)
    add(r2, r2, r0)
    mov(r0, 0)
    b(MORE)
    label(BIN)
    ldr(r3, [r1, 0])
    ldr(r4, [r1, 4])
    add(r1, 8)
    lsl(r5, r3, 1)
    eor(r3, r5)
    orr(r0, r3)
    lsl(r5, r4, 1)
    eor(r4, r5)
    orr(r0, r4)
    label(MORE)
    cmp(r1, r2)
    blt(BIN)
    lsl(r0, r0, 2)
    lsr(r1, r0, 18)
    mov(r0, 0)
    label(PLACE)
    cmp(r1, 0)
    beq(DONE)
    lsr(r1, r1, 1)
    add(r0, 1)
    b(PLACE)
    label(DONE)


@micropython.asm_thumb
def energy(r0, r1, r2, r3):
    """sums.energy. r0: a part. r1: the end. r2: shift. r4, r5: the sum's lower and upper part."""
    lsl(r4, r1, 3)
    lsl(r2, r2, 3)
    add(r1, r2, r0)
    add(r0, r4, r0)
    ldr(r2, [r3, 4])
    mov(r4, 0)
    mov(r5, 0)
    b(MORE)
    label(PART)
    ldr(r6, [r0, 0])
    add(r0, 4)
    asr(r6, r2)
    mul(r6, r6)
    lsr(r7, r6, 15)
    add(r5, r5, r7)
    lsl(r6, r6, 17)
    lsr(r6, r6, 17)
    add(r4, r4, r6)
    label(MORE)
    cmp(r0, r1)
    blt(PART)
    str(r4, [r3, 8])
    str(r5, [r3, 12])


@micropython.asm_thumb
def limit(r0, r1, r2):
    """sums.limit. r0: a value. r1: the end. r2: most. r3: the sum."""
    lsl(r1, r1, 1)
    add(r1, r1, r0)
    mov(r3, 0)
    b(MORE)
    label(VALUE)
    ldrh(r4, [r0, 0])
    cmp(r4, r2)
    ble(WITHIN)
    mov(r4, r2)
    strh(r4, [r0, 0])
    label(WITHIN)
    add(r3, r3, r4)
    add(r0, 2)
    label(MORE)
    cmp(r0, r1)
    blt(VALUE)
    mov(r0, r3)
