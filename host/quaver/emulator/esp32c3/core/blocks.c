/* Decodes code into blocks. One goes on where a branch is not taken; it ends at a jump, before an entry of the radio,
   at the end of what is one piece of the host's memory, and when it is long.

   Memory may change under a block: where it was written to since, the two are compared when the block is entered. So
   code that writes code has to jump to it, as it has to on the chip. */
#include "blocks.h"
#include <stdlib.h>

#define LONGEST 48 /* instructions */

struct block *blocks[BLOCKS];
static struct block *replaced; /* and perhaps still running: a call out of one can come back to it */

/* The last byte of what lies together, and is written to together: as the MMU maps the flash; a page of RAM. */
static u32 piece_end(u32 at) { return at | (CODE_PLACE(at) == CODE_FLASH ? 0xFFFF : 0xFFF); }

static const u8 *code(u32 at) { return read_page[at >> 12] + (at & 4095); }

/* Whether the four bytes there lie together. */
static int whole(u32 at) { return piece_end(at) - at >= 3; }

static struct op op_at(u32 at)
{
    u32 in;
    if (whole(at))
        memcpy(&in, code(at), 4);
    else
        in = load(at, 2) | ((load(at, 1) & 3) == 3 ? load(at + 2, 2) << 16 : 0);
    return decode(at, in);
}

static int is_end(const struct op *op) { return op->operation >= JAL || op->operation == ILLEGAL; }

void blocks_free(void)
{
    while (replaced != 0) {
        struct block *block = replaced;
        replaced = block->other;
        free(block);
    }
}

int block_same(struct block *block)
{
    u32 at = block->ops[0].at, page = at >> 12;
    if (block->size == 4 && !whole(at) && read_page[page + 1] != read_page[page] + 4096)
        return 0;
    if (memcmp(code(at), block->copy, block->size) != 0)
        return 0;
    if (whole(at)) /* else it is compared each time */
        block->compared = code_writes[CODE_PLACE(at)];
    return 1;
}

static struct block *new_block(const struct op *ops, u32 count)
{
    u32 at = ops[0].at, size = ops[count - 1].next - at;
    struct block *block = malloc(sizeof *block + (count + 1) * sizeof *ops + size);
    u8 *copy = (u8 *)(block->ops + count + 1);
    *block = (struct block){.copy = copy, .size = size, .compared = code_writes[CODE_PLACE(at)] - !whole(at)};
    for (u32 i = 0; i < size; i++)
        copy[i] = (u8)load(at + i, 1);
    for (u32 i = 0; i < count; i++) {
        block->ops[i] = ops[i];
        block->cycles += ops[i].operation == DIVIDE ? 1 + DIVIDE_CYCLES : 1;
    }
    block->ops[count] = (struct op){.at = at + size, .operation = END};
    return block;
}

/* Decodes the block at an address that code may be at. */
struct block *block_make(u32 at)
{
    struct op ops[LONGEST];
    u32 count = 0, next = at;
    do {
        struct op op = op_at(next);
        if (count != 0 && op.next > piece_end(at) + 1)
            break; /* in two pieces: a block of its own */
        ops[count++] = op;
        next = op.next;
    } while (!is_end(&ops[count - 1]) && count < LONGEST && next <= piece_end(at) && !radio_hooks(next));
    struct block **place = &blocks[at >> 1 & (BLOCKS - 1)], *made = new_block(ops, count);
    while (*place != 0 && (*place)->ops[0].at != at)
        place = &(*place)->other;
    if (*place != 0) {
        struct block *old = *place;
        made->other = old->other;
        old->other = replaced;
        replaced = old;
    }
    return *place = made;
}
