/* How the bench calls a C transform: two ways in at the front of one flat piece of Thumb code.
 *
 *     prepare   at byte 0: (const T *turn, T *work, size_t n), once before the first run of n samples
 *     run       at byte 8: (const int16_t *samples, T *work, size_t n)
 *
 * T is int16_t, or float for emlearn. turn: the cosines of k/n of a turn, k = 0 ... n - 1, times 32767 where T is
 * int16_t. work: 12 n + 512 bytes, from the first one on the bins as each file says. samples may be spoiled. Nothing
 * has an absolute address (-fropi): the code runs wherever it is put.
 */
__asm__(
    ".syntax unified\n"
    ".text\n"
    ".p2align 2\n"
    ".globl start\n"
    ".thumb_func\n"
    "start:\n"
    "    push {r4, lr}\n"
    "    bl prepare\n"
    "    pop {r4, pc}\n"
    "    push {r4, lr}\n"
    "    bl run\n"
    "    pop {r4, pc}\n");

typedef __SIZE_TYPE__ size_t;
