/* Blocks: stretches of decoded instructions, entered at their first. */
#ifndef BLOCKS_H
#define BLOCKS_H
#include "decode.h"

#define DIVIDE_CYCLES 9 /* beyond the first */

struct block {
    struct block *other; /* with the same hash */
    const u8 *copy; /* of the code that it was decoded from */
    u32 size;       /* of that, in bytes */
    u32 compared;   /* what code_writes was when the copy was last compared */
    u32 cycles;     /* that one way through it takes at most */
    struct op ops[]; /* and an END */
};

#define BLOCKS (1u << 20)
extern struct block *blocks[BLOCKS]; /* by their addresses' half-words */
int block_same(struct block *block);
struct block *block_make(u32 at);
void blocks_free(void);

/* The block at an address that is decoded already, and as the memory is now; null where there is none. */
static inline struct block *block_find(u32 at)
{
    struct block *block = blocks[at >> 1 & (BLOCKS - 1)];
    while (__builtin_expect(block == 0 || block->ops[0].at != at, 0)) {
        if (block == 0)
            return 0;
        block = block->other;
    }
    return __builtin_expect(block->compared == code_writes[CODE_PLACE(at)], 1) || block_same(block) ? block : 0;
}
#endif
