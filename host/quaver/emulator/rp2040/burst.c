/* Runs the emulated chip's instructions as long as they touch nothing but registers and memory.
 *
 * After the ARMv6-M Architecture Reference Manual (ARM DDI 0419); the section of each instruction's encoding, A5.2 or
 * A5.3, and of its operation, A6.7, stand beside it. What the manual leaves to the processor, the cycles, is as
 * rp2040py counts them, so that virtual time is the same whoever runs an instruction.
 *
 * The burst stops at a word that is loaded from or stored to a peripheral: the instruction is done but for that, which
 * is rp2040py's. The microsecond timer is read here, as is what a peripheral has just said.
 *
 * It stops before an instruction that is not for it, with nothing of it done, and rp2040py runs that one: another
 * access outside of boot ROM, flash and SRAM, or unaligned; whatever raises an exception, returns from one, waits, or
 * speaks with the system; a result that rp2040py has otherwise than the manual. */

#include <stdint.h>
#include <string.h>

#define BOOTROM_BASE 0x00000000u /* RP2040 datasheet, 2.2 */
#define FLASH_BASE 0x10000000u
#define SRAM_BASE 0x20000000u
#define SIO_BASE 0xD0000000u
#define SIO_SIZE 0x180u
#define CYCLE_NS 8.0        /* rp2040py's clock is at 125 MHz whatever the guest sets up */
#define MARGIN_NS 0.001     /* the gap to an event is a rounded difference: rather a burst too short than one too long */
#define APB_LOAD 4 /* cycles */
#define APB_STORE 5
#define DIVISION_CYCLES 8   /* counted by rp2040py, though they take no time */

enum { SP = 13, LR = 14, PC = 15 };

enum { PRIMASK = 16 }; /* the special register's number: B5.2.3 */

enum stop { LIMIT, OTHER, LOADS, STORES }; /* why a burst ended; numbered again in burst.py */

struct chip { /* laid out again in burst.py */
    /* For each burst */
    double nanos;    /* of the clock, when it begins */
    double gap;      /* from there to its next event, in ns */
    uint32_t loaded; /* the word that the last one asked for, if it did */
    uint32_t ran;    /* cycles to begin with, not in `cycles` yet; then those of the burst and these */
    /* Of the last burst */
    uint64_t cycles; /* all that the processor has counted */
    uint32_t primask; /* bit 0 alone */
    /* The access that is to be made: number of the peripheral, offset of the word, kind of an atomic store (RP2040
     * datasheet, 2.1.2), word to store or register to load into, and the cycles that it takes */
    uint32_t block;
    uint32_t offset;
    uint32_t atomic;
    uint32_t operand;
    uint32_t took;
    uint32_t instructions;
    uint32_t steady; /* address of a register that was just read, and that changes by an event alone; or 0 */
    uint32_t apsr;   /* N, Z, C and V in bits 31 to 28 */
    /* For bursts in a row */
    uint32_t settled; /* no exception is pending, so that none is taken whatever becomes of PRIMASK */
    uint32_t longest; /* cycles that the burst may run for, at least 1 */
    uint32_t bootrom_size;
    uint32_t flash_size;
    uint32_t sram_size;
    uint32_t *r; /* R0 to R15, rp2040py's own */
    uint8_t *bootrom;
    uint8_t *flash;
    uint8_t *sram;
    double timer_epoch; /* of the clock, when the timer was 0 */
    /* Of a wait on a register, for spin.py */
    double began;
    uint64_t read_cycles;
    uint32_t reads;
    /* What the single-cycle I/O block keeps, for bursts and for rp2040py: RP2040 datasheet, 2.3.1 */
    uint32_t dividend;
    uint32_t divisor;
    uint32_t quotient;
    uint32_t remainder;
    uint32_t divider_csr;
    uint32_t spinlocks;
};

/* Where the host has a guest's address that may be read; NULL where it may not. */
static inline const uint8_t *readable(const struct chip *chip, uint32_t address)
{
    if (address - SRAM_BASE < chip->sram_size)
        return chip->sram + (address - SRAM_BASE);
    if (address - FLASH_BASE < chip->flash_size)
        return chip->flash + (address - FLASH_BASE);
    if (address - BOOTROM_BASE < chip->bootrom_size)
        return chip->bootrom + (address - BOOTROM_BASE);
    return NULL;
}

/* Whether a word there is a peripheral's, of those from IO_BANK0 to TIMER, DMA, PIO0 or PIO1: RP2040 datasheet, 2.2.
 * None of them resets the processor. */
static inline int is_peripheral(uint32_t address)
{
    return address - 0x40014000u < 0x44000u || address - 0x50000000u < 0x4000u || address - 0x50200000u < 0x4000u ||
           address - 0x50300000u < 0x4000u;
}

/* Registers that firmware looks at until they change, and that it does not change by that: SSPSR of both SPI controllers
 * (RP2040 datasheet, 4.4.4), IC_RAW_INTR_STAT of both I2C controllers (4.3.17). */
static inline int is_steady(uint32_t address)
{
    return address == 0x4003C00C || address == 0x4004000C || address == 0x40044034 || address == 0x40048034;
}

/* Cycles of an access to a peripheral, as rp2040py counts them: on the APB or on the AHB-Lite */
static inline uint32_t access_cycles(uint32_t address, uint32_t apb)
{
    return address >> 28 == 4 ? apb : 2;
}

static inline uint32_t load32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

static inline uint32_t load16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}

static inline void store32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

static inline void store16(uint8_t *at, uint32_t value)
{
    uint16_t half = (uint16_t)value;
    memcpy(at, &half, 2);
}

/* --- Single-cycle I/O: RP2040 datasheet, 2.3.1.7 --- */

enum {
    CPUID = 0x000,
    DIV_UDIVIDEND = 0x060,
    DIV_UDIVISOR = 0x064,
    DIV_SDIVIDEND = 0x068,
    DIV_SDIVISOR = 0x06C,
    DIV_QUOTIENT = 0x070,
    DIV_REMAINDER = 0x074,
    DIV_CSR = 0x078, /* bit 0: ready; bit 1: dirty, until the quotient is read */
    SPINLOCK0 = 0x100,
    SPINLOCK31 = 0x17C
};

static int sio_load(struct chip *chip, uint32_t offset, uint32_t *value)
{
    if (offset >= SPINLOCK0 && offset <= SPINLOCK31) { /* a claim: 0 when somebody has it */
        const uint32_t bit = 1u << ((offset - SPINLOCK0) / 4);
        *value = chip->spinlocks & bit ? 0 : bit;
        chip->spinlocks |= bit;
        return 1;
    }
    switch (offset) {
    case CPUID:
        *value = 0;
        return 1;
    case DIV_QUOTIENT:
        chip->divider_csr &= ~2u;
        *value = chip->quotient;
        return 1;
    case DIV_REMAINDER:
        *value = chip->remainder;
        return 1;
    case DIV_CSR:
        *value = chip->divider_csr;
        return 1;
    default:
        return 0;
    }
}

static void divide(struct chip *chip, int is_signed)
{
    const uint32_t dividend = chip->dividend, divisor = chip->divisor;
    if (divisor == 0) { /* rp2040py looks at no sign here */
        chip->quotient = dividend ? 0xFFFFFFFF : 1;
        chip->remainder = dividend;
    } else if (is_signed) {
        chip->quotient = (uint32_t)((int64_t)(int32_t)dividend / (int32_t)divisor);
        chip->remainder = (uint32_t)((int64_t)(int32_t)dividend % (int32_t)divisor);
    } else {
        chip->quotient = dividend / divisor;
        chip->remainder = dividend % divisor;
    }
    chip->divider_csr = 3;
    chip->cycles += DIVISION_CYCLES;
}

static int sio_store(struct chip *chip, uint32_t offset, uint32_t value)
{
    if (offset >= SPINLOCK0 && offset <= SPINLOCK31) {
        chip->spinlocks &= ~(1u << ((offset - SPINLOCK0) / 4));
        return 1;
    }
    switch (offset) {
    case DIV_UDIVIDEND:
    case DIV_SDIVIDEND:
        chip->dividend = value;
        divide(chip, offset == DIV_SDIVIDEND);
        return 1;
    case DIV_UDIVISOR:
    case DIV_SDIVISOR:
        chip->divisor = value;
        divide(chip, offset == DIV_SDIVISOR);
        return 1;
    case DIV_QUOTIENT:
        chip->quotient = value;
        chip->divider_csr = 3;
        return 1;
    case DIV_REMAINDER:
        chip->remainder = value;
        chip->divider_csr = 3;
        return 1;
    default:
        return 0;
    }
}

/* --- The microsecond timer: RP2040 datasheet, 4.6.5 --- */

#define TIMERAWH 0x40054024u
#define TIMERAWL 0x40054028u
#define TIMER_CYCLES 600 /* as in spin.py */
#define LEAST_READS 4    /* up to there a wait on the timer is only counted: spin.py */

/* A read after `ran` cycles of the burst; 0 where it may be one of a wait, which is for spin.py. */
static int timer_load(struct chip *chip, uint32_t address, uint32_t ran, uint32_t *value)
{
    const double nanos = chip->nanos + ran * CYCLE_NS;
    const double micros = (nanos - chip->timer_epoch) / 1000;
    if (address == TIMERAWH) {
        *value = (uint32_t)((uint64_t)micros >> 32);
        return 1;
    }
    const uint64_t cycles = chip->cycles + ran;
    const int again = (int64_t)(cycles - chip->read_cycles) <= TIMER_CYCLES; /* a reset starts them at 0 */
    if (again && chip->reads >= LEAST_READS)
        return 0;
    chip->read_cycles = cycles;
    chip->reads = again ? chip->reads + 1 : 0;
    if (chip->reads == 1)
        chip->began = nanos;
    *value = (uint32_t)(uint64_t)micros;
    return 1;
}

static inline unsigned count_bits(unsigned list)
{
    return (unsigned)__builtin_popcount(list);
}

/* Run up to the next event, for `longest` cycles, or up to an instruction that is not for a burst. */
enum stop burst(struct chip *chip)
{
    uint32_t *const r = chip->r;
    uint8_t *const sram = chip->sram;
    const uint32_t sram_size = chip->sram_size;
    const double whole = (chip->gap - MARGIN_NS) / CYCLE_NS; /* cycles that end before the event */
    const uint32_t most = whole >= chip->longest ? chip->longest : whole > 0 ? (uint32_t)whole + 1 : 1;
    const uint32_t steady = chip->steady;
    uint32_t cycles = chip->ran;
    uint32_t instructions = 0;
    enum stop why = OTHER;

    chip->steady = 0;

    /* The flags, as values that they are read from only when asked: N is bit 31 of sign, Z is whether zero is 0. */
    uint32_t sign = chip->apsr;
    uint32_t zero = ~chip->apsr & 1u << 30;
    uint32_t carry = chip->apsr >> 29 & 1;
    uint32_t overflow = chip->apsr >> 28 & 1;

    /* rp2040py keeps bit 0 of a vector in its PC until the next BX; the manual's PC has none. Kept apart here. */
    uint32_t odd = r[PC] & 1;
    uint32_t pc = r[PC] - odd; /* of the instruction to run */
    const uint8_t *code = NULL; /* the region that it is in: the host's address, the guest's, and the size */
    uint32_t code_base = 0;
    uint32_t code_size = 0;

    uint32_t opcode, next, took;

    /* Where an instruction is done, by bits 15 to 6 of its opcode: A5.2. Each goes on to the next one by a jump of its
     * own, which the host's processor foresees better than one jump for all. */
    static const void *const operations[0x400] = {
        [0x000 ... 0x01F] = &&lsl_immediate,
        [0x020 ... 0x03F] = &&lsr_immediate,
        [0x040 ... 0x05F] = &&asr_immediate,
        [0x060 ... 0x067] = &&add_register_t1,
        [0x068 ... 0x06F] = &&sub_register,
        [0x070 ... 0x077] = &&add_immediate_t1,
        [0x078 ... 0x07F] = &&sub_immediate_t1,
        [0x080 ... 0x09F] = &&mov_immediate,
        [0x0A0 ... 0x0BF] = &&cmp_immediate,
        [0x0C0 ... 0x0DF] = &&add_immediate_t2,
        [0x0E0 ... 0x0FF] = &&sub_immediate_t2,
        [0x100] = &&and,
        [0x101] = &&eor,
        [0x102] = &&lsl_register,
        [0x103] = &&lsr_register,
        [0x104] = &&asr_register,
        [0x105] = &&adc,
        [0x106] = &&sbc,
        [0x107] = &&ror,
        [0x108] = &&tst,
        [0x109] = &&rsb,
        [0x10A] = &&cmp_register_t1,
        [0x10B] = &&cmn,
        [0x10C] = &&orr,
        [0x10D] = &&mul,
        [0x10E] = &&bic,
        [0x10F] = &&mvn,
        [0x110 ... 0x113] = &&add_register_t2,
        [0x114 ... 0x117] = &&cmp_register_t2,
        [0x118 ... 0x11B] = &&add_register_t2,
        [0x11C ... 0x11F] = &&bx,
        [0x120 ... 0x13F] = &&ldr_literal,
        [0x140 ... 0x147] = &&str_register,
        [0x148 ... 0x14F] = &&strh_register,
        [0x150 ... 0x157] = &&strb_register,
        [0x158 ... 0x15F] = &&ldrsb_register,
        [0x160 ... 0x167] = &&ldr_register,
        [0x168 ... 0x16F] = &&ldrh_register,
        [0x170 ... 0x177] = &&ldrb_register,
        [0x178 ... 0x17F] = &&ldrsh_register,
        [0x180 ... 0x19F] = &&str_immediate_t1,
        [0x1A0 ... 0x1BF] = &&ldr_immediate_t1,
        [0x1C0 ... 0x1DF] = &&strb_immediate,
        [0x1E0 ... 0x1FF] = &&ldrb_immediate,
        [0x200 ... 0x21F] = &&strh_immediate,
        [0x220 ... 0x23F] = &&ldrh_immediate,
        [0x240 ... 0x25F] = &&str_immediate_t2,
        [0x260 ... 0x27F] = &&ldr_immediate_t2,
        [0x280 ... 0x29F] = &&adr,
        [0x2A0 ... 0x2BF] = &&add_sp_plus_immediate_t1,
        [0x2C0 ... 0x2C1] = &&add_sp_plus_immediate_t2,
        [0x2C2 ... 0x2C3] = &&sub_sp_minus_immediate,
        [0x2C4 ... 0x2C7] = &&stop,
        [0x2C8] = &&sxth,
        [0x2C9] = &&sxtb,
        [0x2CA] = &&uxth,
        [0x2CB] = &&uxtb,
        [0x2CC ... 0x2CF] = &&stop,
        [0x2D0 ... 0x2D7] = &&push,
        [0x2D8 ... 0x2D9] = &&cps,
        [0x2DA ... 0x2E7] = &&stop,
        [0x2E8] = &&rev,
        [0x2E9] = &&rev16,
        [0x2EA] = &&stop,
        [0x2EB] = &&revsh,
        [0x2EC ... 0x2EF] = &&stop,
        [0x2F0 ... 0x2F7] = &&pop,
        [0x2F8 ... 0x2FB] = &&stop,
        [0x2FC] = &&nop,
        [0x2FD ... 0x2FF] = &&stop,
        [0x300 ... 0x31F] = &&stm,
        [0x320 ... 0x33F] = &&ldm,
        [0x340 ... 0x343] = &&beq,
        [0x344 ... 0x347] = &&bne,
        [0x348 ... 0x34B] = &&bcs,
        [0x34C ... 0x34F] = &&bcc,
        [0x350 ... 0x353] = &&bmi,
        [0x354 ... 0x357] = &&bpl,
        [0x358 ... 0x35B] = &&bvs,
        [0x35C ... 0x35F] = &&bvc,
        [0x360 ... 0x363] = &&bhi,
        [0x364 ... 0x367] = &&bls,
        [0x368 ... 0x36B] = &&bge,
        [0x36C ... 0x36F] = &&blt,
        [0x370 ... 0x373] = &&bgt,
        [0x374 ... 0x377] = &&ble,
        [0x378 ... 0x37F] = &&stop,
        [0x380 ... 0x39F] = &&b_t2,
        [0x3A0 ... 0x3BF] = &&stop,
        [0x3C0 ... 0x3DF] = &&bl,
        [0x3E0 ... 0x3FF] = &&stop,
    };

#define FETCH                                                                                                          \
    do {                                                                                                               \
        opcode = load16(code + (pc - code_base));                                                                      \
        next = pc + 2;                                                                                                 \
        took = 1;                                                                                                      \
        goto *operations[opcode >> 6];                                                                                 \
    } while (0)
#define NEXT                                                                                                           \
    do {                                                                                                               \
        pc = next;                                                                                                     \
        cycles += took;                                                                                                \
        instructions++;                                                                                                \
        if (cycles >= most)                                                                                            \
            goto limit;                                                                                                \
        if (pc - code_base >= code_size)                                                                               \
            goto elsewhere;                                                                                            \
        FETCH;                                                                                                         \
    } while (0)

/* Fields of an opcode that many encodings share: three registers of the lower eight. */
#define RD r[opcode & 7]
#define RN r[opcode >> 3 & 7]
#define RM r[opcode >> 6 & 7]
#define RW r[opcode >> 8 & 7]
#define IMM3 (opcode >> 6 & 7)
#define IMM5 (opcode >> 6 & 31)
#define IMM8 (opcode & 0xFF)
/* ADD and its kin: A2.2.1, AddWithCarry. A result into `to`, which may be one of the operands. */
#define SET_NZ(result) (sign = zero = (result))
#define ADD_WITH_CARRY(to, a, b, c)                                                                                    \
    do {                                                                                                               \
        const uint32_t x = (a), y = (b);                                                                               \
        const uint64_t sum = (uint64_t)x + y + (c);                                                                    \
        const uint32_t result = (uint32_t)sum;                                                                         \
        carry = (uint32_t)(sum >> 32);                                                                                 \
        overflow = ((x ^ result) & (y ^ result)) >> 31;                                                                \
        to = SET_NZ(result);                                                                                           \
    } while (0)
#define LOAD(size, to, address, value)                                                                                 \
    do {                                                                                                               \
        const uint32_t from = (address);                                                                               \
        const uint8_t *at = readable(chip, from);                                                                      \
        if (from & ((size) - 1))                                                                                       \
            goto stop;                                                                                                 \
        if (at != NULL) {                                                                                              \
            to = (value);                                                                                              \
            took = 2;                                                                                                  \
        } else if (from - (SIO_BASE + CPUID) < 4) { /* as the owner of a lock, a byte */                               \
            to = 0;                                                                                                    \
        } else {                                                                                                       \
            goto stop;                                                                                                 \
        }                                                                                                              \
    } while (0)
#define LOAD_ELSEWHERE(to, from)                                                                                       \
    do {                                                                                                               \
        chip->block = (from) >> 14 << 2;                                                                               \
        chip->offset = (from) & 0x3FFF;                                                                                \
        chip->operand = (uint32_t)(&(to) - r);                                                                         \
        chip->took = access_cycles(from, APB_LOAD);                                                                    \
        chip->steady = is_steady(from) ? (from) : 0;                                                                   \
        why = LOADS;                                                                                                   \
        pc = next;                                                                                                     \
        goto stop;                                                                                                     \
    } while (0)
#define LOAD_WORD(to, address)                                                                                         \
    do {                                                                                                               \
        const uint32_t from = (address);                                                                               \
        const uint8_t *at = readable(chip, from);                                                                      \
        uint32_t value;                                                                                                \
        if (from & 3)                                                                                                  \
            goto stop;                                                                                                 \
        if (at != NULL) {                                                                                              \
            value = load32(at);                                                                                        \
            took = 2;                                                                                                  \
        } else if (from == TIMERAWH || from == TIMERAWL) {                                                             \
            if (!timer_load(chip, from, cycles, &value))                                                               \
                LOAD_ELSEWHERE(to, from);                                                                              \
            took = APB_LOAD;                                                                                           \
        } else if (from == steady) {                                                                                   \
            value = chip->loaded;                                                                                      \
            took = APB_LOAD;                                                                                           \
        } else if (is_peripheral(from)) {                                                                              \
            LOAD_ELSEWHERE(to, from);                                                                                  \
        } else if (from - SIO_BASE >= SIO_SIZE || !sio_load(chip, from - SIO_BASE, &value)) {                          \
            goto stop;                                                                                                 \
        }                                                                                                              \
        to = value;                                                                                                    \
    } while (0)
#define STORE_WORD(from, address)                                                                                      \
    do {                                                                                                               \
        const uint32_t to = (address);                                                                                 \
        if (to & 3)                                                                                                    \
            goto stop;                                                                                                 \
        if (to - SRAM_BASE < sram_size) {                                                                              \
            store32(sram + (to - SRAM_BASE), from);                                                                    \
            took = 2;                                                                                                  \
        } else if (is_peripheral(to)) {                                                                                \
            chip->block = to >> 14 << 2;                                                                               \
            chip->offset = to & 0xFFF;                                                                                 \
            chip->atomic = to >> 12 & 3;                                                                               \
            chip->operand = (from);                                                                                    \
            chip->took = access_cycles(to, APB_STORE);                                                                 \
            why = STORES;                                                                                              \
            pc = next;                                                                                                 \
            goto stop;                                                                                                 \
        } else if (to - SIO_BASE >= SIO_SIZE || !sio_store(chip, to - SIO_BASE, from)) {                               \
            goto stop;                                                                                                 \
        }                                                                                                              \
    } while (0)
#define STORE(size, address, how)                                                                                      \
    do {                                                                                                               \
        const uint32_t to = (address);                                                                                 \
        if (to - SRAM_BASE >= sram_size || to & ((size) - 1))                                                          \
            goto stop;                                                                                                 \
        uint8_t *at = sram + (to - SRAM_BASE);                                                                         \
        how;                                                                                                           \
        took = 2;                                                                                                      \
    } while (0)
/* The registers of a list, the lower eight, from the lowest on */
#define EACH_OF_LIST(i) for (unsigned left = IMM8, i; left && (i = (unsigned)__builtin_ctz(left), 1); left &= left - 1)
#define BRANCH_IF(condition)                                                                                           \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            next = pc + 4 + (uint32_t)((int32_t)(int8_t)opcode * 2);                                                   \
            took = 2;                                                                                                  \
        }                                                                                                              \
    } while (0)
#define N (sign >> 31)
#define Z (zero == 0)

    if (cycles >= most)
        goto limit;
elsewhere:
    if (pc - SRAM_BASE < sram_size) {
        code = sram, code_base = SRAM_BASE, code_size = sram_size;
    } else if (pc - FLASH_BASE < chip->flash_size) {
        code = chip->flash, code_base = FLASH_BASE, code_size = chip->flash_size;
    } else if (pc - BOOTROM_BASE < chip->bootrom_size) {
        code = chip->bootrom, code_base = BOOTROM_BASE, code_size = chip->bootrom_size;
    } else {
        goto stop;
    }
    FETCH;

    /* --- A5.2.1: shift, add, subtract, move and compare with immediates --- */
    lsl_immediate: { /* LSL (immediate), A6.7.35; 0 is MOV (register) T2, A6.7.40 */
        const uint32_t value = RN;
        if (IMM5)
            carry = value >> (32 - IMM5) & 1;
        RD = SET_NZ(value << IMM5);
        NEXT;
    }
    lsr_immediate: { /* LSR (immediate), A6.7.37; 0 stands for 32 */
        const uint32_t value = RN;
        carry = value >> ((IMM5 - 1) & 31) & 1;
        RD = SET_NZ(IMM5 ? value >> IMM5 : 0);
        NEXT;
    }
    asr_immediate: { /* ASR (immediate), A6.7.8; 0 stands for 32 */
        const uint32_t value = RN;
        carry = value >> ((IMM5 - 1) & 31) & 1;
        RD = SET_NZ((uint32_t)((int32_t)value >> (IMM5 ? IMM5 : 31)));
        NEXT;
    }
    add_register_t1: /* ADD (register) T1, A6.7.3 */
        ADD_WITH_CARRY(RD, RN, RM, 0);
        NEXT;
    sub_register: /* SUB (register), A6.7.66 */
        ADD_WITH_CARRY(RD, RN, ~RM, 1);
        NEXT;
    add_immediate_t1: /* ADD (immediate) T1, A6.7.2 */
        ADD_WITH_CARRY(RD, RN, IMM3, 0);
        NEXT;
    sub_immediate_t1: /* SUB (immediate) T1, A6.7.65 */
        ADD_WITH_CARRY(RD, RN, ~IMM3, 1);
        NEXT;
    mov_immediate: /* MOV (immediate), A6.7.39 */
        RW = SET_NZ(IMM8);
        NEXT;
    cmp_immediate: { /* CMP (immediate), A6.7.17 */
        uint32_t ignored;
        ADD_WITH_CARRY(ignored, RW, ~IMM8, 1);
        (void)ignored;
        NEXT;
    }
    add_immediate_t2: /* ADD (immediate) T2, A6.7.2 */
        ADD_WITH_CARRY(RW, RW, IMM8, 0);
        NEXT;
    sub_immediate_t2: /* SUB (immediate) T2, A6.7.65 */
        ADD_WITH_CARRY(RW, RW, ~IMM8, 1);
        NEXT;

    /* --- A5.2.2: data processing --- */
    and: /* AND, A6.7.7 */
        RD = SET_NZ(RD & RN);
        NEXT;
    eor: /* EOR, A6.7.23 */
        RD = SET_NZ(RD ^ RN);
        NEXT;
    lsl_register: { /* LSL (register), A6.7.36 */
        const uint32_t value = RD, shift = RN & 0xFF;
        if (shift)
            carry = value >> (-shift & 31) & 1; /* beyond 32 the manual has 0, rp2040py this */
        RD = SET_NZ(shift < 32 ? value << shift : 0);
        NEXT;
    }
    lsr_register: { /* LSR (register), A6.7.38 */
        const uint32_t value = RD, shift = RN & 0xFF;
        /* By 0 the manual leaves the carry alone; rp2040py has bit 31, here and in ASR and ROR. */
        carry = shift <= 32 ? value >> ((shift - 1) & 31) & 1 : 0;
        RD = SET_NZ(shift < 32 ? value >> shift : 0);
        NEXT;
    }
    asr_register: { /* ASR (register), A6.7.9 */
        const uint32_t value = RD, shift = RN & 0xFF;
        carry = value >> (shift < 32 ? (shift - 1) & 31 : 31) & 1;
        RD = SET_NZ((uint32_t)((int32_t)value >> (shift < 32 ? shift : 31)));
        NEXT;
    }
    adc: /* ADC, A6.7.1 */
        if (carry && RD == 0x7FFFFFFF)
            goto stop; /* rp2040py's V is of the sum of operand and carry */
        ADD_WITH_CARRY(RD, RD, RN, carry);
        NEXT;
    sbc: /* SBC, A6.7.56 */
        if (!carry && RN == 0x7FFFFFFF)
            goto stop; /* as with ADC */
        ADD_WITH_CARRY(RD, RD, ~RN, carry);
        NEXT;
    ror: { /* ROR, A6.7.54 */
        const uint32_t value = RD, shift = RN & 31;
        RD = SET_NZ(value >> shift | value << (-shift & 31));
        carry = N;
        NEXT;
    }
    tst: /* TST, A6.7.71 */
        SET_NZ(RD & RN);
        NEXT;
    rsb: /* RSB, A6.7.55 */
        ADD_WITH_CARRY(RD, 0, ~RN, 1);
        NEXT;
    cmp_register_t1: { /* CMP (register) T1, A6.7.18 */
        uint32_t ignored;
        ADD_WITH_CARRY(ignored, RD, ~RN, 1);
        (void)ignored;
        NEXT;
    }
    cmn: { /* CMN, A6.7.16 */
        uint32_t ignored;
        ADD_WITH_CARRY(ignored, RD, RN, 0);
        (void)ignored;
        NEXT;
    }
    orr: /* ORR, A6.7.45 */
        RD = SET_NZ(RD | RN);
        NEXT;
    mul: /* MUL, A6.7.44 */
        RD = SET_NZ(RD * RN);
        NEXT;
    bic: /* BIC, A6.7.11 */
        RD = SET_NZ(RD & ~RN);
        NEXT;
    mvn: /* MVN, A6.7.46 */
        RD = SET_NZ(~RN);
        NEXT;

    /* --- A5.2.3: with all sixteen registers, branch and exchange --- */
    add_register_t2: { /* ADD (register) T2, A6.7.3; MOV (register) T1, A6.7.40 */
        const unsigned d = (opcode >> 4 & 8) | (opcode & 7), m = opcode >> 3 & 15;
        if (odd && (d == PC || m == PC))
            goto stop;
        uint32_t value = m == PC ? pc + 4 : r[m];
        if (opcode < 0x4600)
            value += d == PC ? pc + 4 : r[d];
        if (d == PC) {
            next = value & ~1u;
            took = 2;
        } else {
            r[d] = d == SP ? value & ~3u : value;
        }
        NEXT;
    }
    cmp_register_t2: { /* CMP (register) T2, A6.7.18 */
        const unsigned n = (opcode >> 4 & 8) | (opcode & 7), m = opcode >> 3 & 15;
        uint32_t ignored;
        if (n == PC || m == PC)
            goto stop;
        ADD_WITH_CARRY(ignored, r[n], ~r[m], 1);
        (void)ignored;
        NEXT;
    }
    bx: { /* BX, A6.7.15; BLX (register), A6.7.14 */
        const unsigned m = opcode >> 3 & 15;
        const uint32_t target = r[m];
        if (m == PC || opcode & 7 || !(target & 1) || target >> 28 == 0xF)
            goto stop; /* an exception's return, or no Thumb code */
        if (opcode & 0x80 && m == LR)
            goto stop; /* rp2040py jumps to what it has just put there */
        if (opcode & 0x80)
            r[LR] = next | 1;
        next = target - 1;
        odd = 0;
        took = 2;
        NEXT;
    }

    /* --- A5.2.4: load and store --- */
    ldr_literal: /* LDR (literal), A6.7.27 */
        LOAD_WORD(RW, ((pc + 4) & ~3u) + IMM8 * 4);
        NEXT;
    str_register: /* STR (register), A6.7.60 */
        STORE_WORD(RD, RN + RM);
        NEXT;
    strh_register: /* STRH (register), A6.7.64 */
        STORE(2, RN + RM, store16(at, RD));
        NEXT;
    strb_register: /* STRB (register), A6.7.62 */
        STORE(1, RN + RM, *at = (uint8_t)RD);
        NEXT;
    ldrsb_register: /* LDRSB (register), A6.7.32 */
        LOAD(1, RD, RN + RM, (uint32_t)(int32_t)(int8_t)*at);
        NEXT;
    ldr_register: /* LDR (register), A6.7.28 */
        LOAD_WORD(RD, RN + RM);
        NEXT;
    ldrh_register: /* LDRH (register), A6.7.31 */
        LOAD(2, RD, RN + RM, load16(at));
        NEXT;
    ldrb_register: /* LDRB (register), A6.7.30 */
        LOAD(1, RD, RN + RM, *at);
        NEXT;
    ldrsh_register: /* LDRSH (register), A6.7.33 */
        LOAD(2, RD, RN + RM, (uint32_t)(int32_t)(int16_t)load16(at));
        NEXT;
    str_immediate_t1: /* STR (immediate) T1, A6.7.59 */
        STORE_WORD(RD, RN + IMM5 * 4);
        NEXT;
    ldr_immediate_t1: /* LDR (immediate) T1, A6.7.26 */
        LOAD_WORD(RD, RN + IMM5 * 4);
        NEXT;
    strb_immediate: /* STRB (immediate), A6.7.61 */
        STORE(1, RN + IMM5, *at = (uint8_t)RD);
        NEXT;
    ldrb_immediate: /* LDRB (immediate), A6.7.29 */
        LOAD(1, RD, RN + IMM5, *at);
        NEXT;
    strh_immediate: /* STRH (immediate), A6.7.63 */
        STORE(2, RN + IMM5 * 2, store16(at, RD));
        NEXT;
    ldrh_immediate: /* LDRH (immediate), A6.7.30 */
        LOAD(2, RD, RN + IMM5 * 2, load16(at));
        NEXT;
    str_immediate_t2: /* STR (immediate) T2, A6.7.59 */
        STORE_WORD(RW, r[SP] + IMM8 * 4);
        NEXT;
    ldr_immediate_t2: /* LDR (immediate) T2, A6.7.26 */
        LOAD_WORD(RW, r[SP] + IMM8 * 4);
        NEXT;

    adr: /* ADR, A6.7.6 */
        RW = ((pc + 4) & ~3u) + IMM8 * 4;
        NEXT;
    add_sp_plus_immediate_t1: /* ADD (SP plus immediate) T1, A6.7.5 */
        RW = r[SP] + IMM8 * 4;
        NEXT;

    /* --- A5.2.5: miscellaneous --- */
    add_sp_plus_immediate_t2: /* ADD (SP plus immediate) T2, A6.7.5 */
        r[SP] = (r[SP] + (opcode & 0x7F) * 4) & ~3u;
        NEXT;
    sub_sp_minus_immediate: /* SUB (SP minus immediate), A6.7.67 */
        r[SP] = (r[SP] - (opcode & 0x7F) * 4) & ~3u;
        NEXT;
    cps: /* CPS, B4.2.1; 0xB662 enables, 0xB672 disables */
        if (opcode == 0xB672)
            chip->primask = 1;
        else if (opcode == 0xB662 && chip->settled)
            chip->primask = 0;
        else
            goto stop;
        NEXT;
    sxth: /* SXTH, A6.7.70 */
        RD = (uint32_t)(int32_t)(int16_t)RN;
        NEXT;
    sxtb: /* SXTB, A6.7.69 */
        RD = (uint32_t)(int32_t)(int8_t)RN;
        NEXT;
    uxth: /* UXTH, A6.7.74 */
        RD = RN & 0xFFFF;
        NEXT;
    uxtb: /* UXTB, A6.7.73 */
        RD = RN & 0xFF;
        NEXT;
    push: { /* PUSH, A6.7.50 */
        const uint32_t size = 4 * count_bits(opcode & 0x1FF);
        const uint32_t start = r[SP] - size;
        if (start & 3 || start - SRAM_BASE >= sram_size || sram_size - (start - SRAM_BASE) < size)
            goto stop;
        uint8_t *at = sram + (start - SRAM_BASE);
        EACH_OF_LIST(i) {
            store32(at, r[i]);
            at += 4;
            took++;
        }
        if (opcode & 0x100)
            store32(at, r[LR]);
        r[SP] = start;
        NEXT;
    }
    rev: { /* REV, A6.7.51 */
        const uint32_t value = RN;
        RD = value << 24 | (value << 8 & 0xFF0000) | (value >> 8 & 0xFF00) | value >> 24;
        NEXT;
    }
    rev16: { /* REV16, A6.7.52 */
        const uint32_t value = RN;
        RD = (value & 0x00FF00FF) << 8 | (value >> 8 & 0x00FF00FF);
        NEXT;
    }
    revsh: { /* REVSH, A6.7.53 */
        const uint32_t value = RN;
        RD = (uint32_t)(int32_t)(int16_t)((value & 0xFF) << 8 | (value >> 8 & 0xFF));
        NEXT;
    }
    pop: { /* POP, A6.7.49 */
        const uint32_t start = r[SP], size = 4 * count_bits(opcode & 0x1FF);
        if (start & 3 || start - SRAM_BASE >= sram_size || sram_size - (start - SRAM_BASE) < size)
            goto stop;
        const uint8_t *at = sram + (start - SRAM_BASE);
        if (opcode & 0x100) {
            const uint32_t target = load32(at + size - 4);
            if (!(target & 1) || target >> 28 == 0xF)
                goto stop; /* as with BX */
            next = target - 1;
            odd = 0;
            took = 3;
        }
        EACH_OF_LIST(i) {
            r[i] = load32(at);
            at += 4;
            took++;
        }
        r[SP] = start + size;
        NEXT;
    }
    nop: /* A5.2.5, hints; NOP, A6.7.47 */
        if (opcode != 0xBF00)
            goto stop;
        NEXT;

    /* --- A5.2, more than one register --- */
    stm: { /* STM, A6.7.58 */
        const unsigned n = opcode >> 8 & 7;
        const uint32_t start = r[n], size = 4 * count_bits(IMM8);
        if (opcode >> n & 1) /* the manual writes back, rp2040py does not */
            goto stop;
        if (start & 3 || start - SRAM_BASE >= sram_size || sram_size - (start - SRAM_BASE) < size)
            goto stop;
        uint8_t *at = sram + (start - SRAM_BASE);
        EACH_OF_LIST(i) {
            store32(at, r[i]);
            at += 4;
            took++;
        }
        r[n] = start + size;
        NEXT;
    }
    ldm: { /* LDM, A6.7.25 */
        const unsigned n = opcode >> 8 & 7;
        const uint32_t start = r[n], size = 4 * count_bits(IMM8);
        const uint8_t *at = readable(chip, start);
        if (size == 0 || start & 3 || at == NULL || readable(chip, start + size - 4) != at + size - 4)
            goto stop;
        EACH_OF_LIST(i) {
            r[i] = load32(at);
            at += 4;
            took++;
        }
        if (!(opcode >> n & 1))
            r[n] = start + size;
        NEXT;
    }

    /* --- A5.2.6: conditional branches, A6.7.10; conditions A6.3 --- */
    beq:
        BRANCH_IF(Z);
        NEXT;
    bne:
        BRANCH_IF(!Z);
        NEXT;
    bcs:
        BRANCH_IF(carry);
        NEXT;
    bcc:
        BRANCH_IF(!carry);
        NEXT;
    bmi:
        BRANCH_IF(N);
        NEXT;
    bpl:
        BRANCH_IF(!N);
        NEXT;
    bvs:
        BRANCH_IF(overflow);
        NEXT;
    bvc:
        BRANCH_IF(!overflow);
        NEXT;
    bhi:
        BRANCH_IF(carry && !Z);
        NEXT;
    bls:
        BRANCH_IF(!carry || Z);
        NEXT;
    bge:
        BRANCH_IF(N == overflow);
        NEXT;
    blt:
        BRANCH_IF(N != overflow);
        NEXT;
    bgt:
        BRANCH_IF(!Z && N == overflow);
        NEXT;
    ble:
        BRANCH_IF(Z || N != overflow);
        NEXT;

    b_t2: /* B T2, A6.7.10: eleven bits with a sign */
        next = pc + 4 + (uint32_t)((int32_t)(opcode << 21) >> 20);
        took = 2;
        NEXT;

    /* --- A5.3: 32-bit instructions --- */
    bl: { /* BL, A6.7.13 */
        if (next - code_base >= code_size)
            goto stop;
        const uint32_t second = load16(code + (next - code_base));
        if ((second & 0xD000) == 0x8000) { /* A5.3.1: miscellaneous control */
            const unsigned barrier = second & 0xFFF0, special = second & 0xFF, d = second >> 8 & 15;
            if (opcode == 0xF3BF && (barrier == 0x8F40 || barrier == 0x8F50 || barrier == 0x8F60)) {
                /* DSB, A6.7.22; DMB, A6.7.21; ISB, A6.7.24 */
            } else if (opcode == 0xF3EF && special == PRIMASK && d < SP) { /* MRS, B4.2.2 */
                r[d] = chip->primask;
            } else if (opcode >> 4 == 0xF38 && second == (0x8800 | PRIMASK) && (opcode & 15) < SP && chip->settled) {
                chip->primask = r[opcode & 15] & 1; /* MSR (register), B4.2.3 */
            } else {
                goto stop;
            }
            next = pc + 4;
            took = 3;
            NEXT;
        }
        if ((second & 0xD000) != 0xD000)
            goto stop;
        const uint32_t s = opcode >> 10 & 1;
        const uint32_t i1 = ~((second >> 13 & 1) ^ s) & 1, i2 = ~((second >> 11 & 1) ^ s) & 1;
        const uint32_t offset = (s ? 0xFF000000u : 0) | i1 << 23 | i2 << 22 | (opcode & 0x3FF) << 12 | (second & 0x7FF) << 1;
        r[LR] = (pc + 4) | 1;
        next = pc + 4 + offset;
        took = 3;
        NEXT;
    }
limit:
    why = LIMIT;
stop:
    r[PC] = pc | odd;
    chip->apsr = (sign & 1u << 31) | (uint32_t)Z << 30 | carry << 29 | overflow << 28;
    chip->cycles += cycles;
    chip->ran = cycles;
    chip->instructions = instructions;
    return why;
}
