/* The RV32IMC core with its machine-mode CSRs. TRM: ESP-RISC-V CPU.

   Timing: an instruction takes one cycle, a taken branch or jump and a division more (the constants below). */
#include "decode.h"
#include <stdlib.h>

#define JUMP_CYCLES 1   /* beyond the first */
#define DIVIDE_CYCLES 9

#define PAGE_OPS 2048
#define MIE 0x08u
#define MPIE 0x80u

u32 x[33], pc;
u64 instructions, idle_ticks;
static u32 mstatus, mtvec, mepc, mcause, mtval, mscratch;
static u32 csrs[4096];
static u64 run_until;
static u32 code_page = ~0u; /* address >> 12 of the page that `code` is */
static const u8 *code;
static struct op *ops; /* of that page; decoded anew where the memory has changed */
static struct op *decoded[1 << 20];
static u8 hooked[1 << 14]; /* pages of 0x42000000..0x427FFFFF and of the ROM that hold a hook, as bits */
static int nested;

void cpu_forget_code(void) { code_page = ~0u; }
void cpu_hook_page(u32 address) { hooked[(address >> 12) >> 3 & 0x3FFF] |= (u8)BIT(address >> 12 & 7); }

void cpu_reset(u32 entry, u32 stack)
{
    memset(x, 0, sizeof x);
    memset(csrs, 0, sizeof csrs);
    mstatus = mtvec = mepc = mcause = mtval = mscratch = 0;
    pc = entry;
    x[2] = stack;
    nested = 0;
    cpu_forget_code();
}

static u32 csr_read(u32 number)
{
    switch (number) {
    case 0x300: return mstatus | 0x1800;
    case 0x301: return 0x40101104; /* RV32IMC */
    case 0x305: return mtvec;
    case 0x340: return mscratch;
    case 0x341: return mepc;
    case 0x342: return mcause;
    case 0x343: return mtval;
    case 0xF11: return 0x612;
    case 0xF12: return 0x80000001;
    case 0x7E2: case 0x802: return (u32)(now / tick_cost); /* the performance counter, as cycles */
    case 0xB00: case 0xC00: return (u32)(now / tick_cost);
    default: return csrs[number];
    }
}

static void csr_write(u32 number, u32 value)
{
    switch (number) {
    case 0x300: mstatus = value & (MIE | MPIE); interrupts_changed = 1; pause_cpu(); break;
    case 0x305: mtvec = value; break;
    case 0x340: mscratch = value; break;
    case 0x341: mepc = value; break;
    case 0x342: mcause = value; break;
    case 0x343: mtval = value; break;
    default: csrs[number] = value;
    }
}

static void trap(u32 cause, u32 value)
{
    mepc = pc;
    mcause = cause;
    mtval = value;
    mstatus = mstatus & MIE ? MPIE : 0;
    pc = (mtvec & ~255u) + (cause >> 31 ? 4 * (cause & 31) : 0);
}

/* Nothing to do until something happens. Frames and packets for the guest are handed over here, where its idle task
   is: at no other moment is there a stack that can take the calls. */
static void wait_for_interrupt(void)
{
    interrupts_changed = 1;
    pause_cpu();
    if (!nested && radio_deliver())
        return;
    while (interrupt_pending() == 0) {
        if (now >= run_until || reset_wanted || faulted) {
            pc -= 4; /* it waits on when the host comes back */
            return;
        }
        u64 next = alarm_next();
        if (next > run_until)
            next = run_until;
        if (next > now) {
            idle_ticks += next - now;
            now = next;
        }
        alarms_fire();
        if (!nested && radio_deliver())
            return;
    }
}

static u32 divide(u32 kind, u32 a, u32 b)
{
    int overflow = a == 0x80000000u && b == ~0u;
    switch (kind) {
    case 4: return b == 0 ? ~0u : overflow ? a : (u32)((s32)a / (s32)b);
    case 5: return b == 0 ? ~0u : a / b;
    case 6: return b == 0 ? a : overflow ? 0 : (u32)((s32)a % (s32)b);
    default: return b == 0 ? a : a % b;
    }
}

/* What `in` at that address of the page at hand is. */
static inline const struct op *known(u32 at, u32 in)
{
    struct op *op = &ops[(at & 4095) >> 1];
    if (__builtin_expect(op->in != in, 0))
        *op = decode(in);
    return op;
}

/* The instruction at pc where it is not one of the page at hand; null where pc has moved on without one. */
static const struct op *fetch(void)
{
    static struct op across; /* the end of one page and the beginning of the next */
    u32 page = pc >> 12;
    if (page != code_page) {
        u32 bits = hooked[page >> 3 & 0x3FFF] >> (page & 7) & 1;
        if (pc >> 28 == 4 && bits && radio_hook())
            return 0;
        if (pc - 0x40000000u < 0x60000u) {
            if (pc != rom_returns)
                rom_call();
            return 0;
        }
        if (read_page[page] == 0 || (pc < 0x40000000u && pc >> 24 != 0x3C)) {
            trap(1, pc);
            pause_cpu();
            return 0;
        }
        if (decoded[page] == 0)
            decoded[page] = calloc(PAGE_OPS, sizeof(struct op));
        code = read_page[page];
        ops = decoded[page];
        code_page = bits ? ~0u : page; /* a page with a hook is looked at each time */
    }
    u32 at = pc & 4095, in;
    if (at > 4092) {
        in = load(pc, 2) | ((load(pc, 1) & 3) == 3 ? load(pc + 2, 2) << 16 : 0);
        across = decode(in);
        return &across;
    }
    memcpy(&in, code + at, 4);
    return known(pc, in);
}

/* SYSTEM instructions; returns the next pc, or 1 where pc is set already. */
static u32 system_instruction(const struct op *op)
{
    u32 in = op->in, kind = in >> 12 & 7, number = in >> 20;
    if (kind == 0) {
        switch (number) {
        case 0x000: return trap(11, 0), 1;
        case 0x001: return trap(3, pc), 1;
        case 0x302: /* mret */
            mstatus = (mstatus & MPIE ? MIE : 0) | MPIE;
            pc = mepc;
            interrupts_changed = 1;
            pause_cpu();
            return 1;
        case 0x105: pc += 4; wait_for_interrupt(); return 1;
        default: return trap(2, in), 1;
        }
    }
    u32 before = csr_read(number), value = kind & 4 ? op->rs1 : x[op->rs1];
    switch (kind & 3) {
    case 1: csr_write(number, value); break;
    case 2: if (op->rs1 != 0) csr_write(number, before | value); break;
    default: if (op->rs1 != 0) csr_write(number, before & ~value);
    }
    x[op->rd] = before;
    return pc + 4;
}

/* Instructions until run_limit. While nobody else looks at them, pc and now are in `at` and `time`. Each operation goes
   on to the next by a jump of its own: from one common jump, the host's processor could not tell where it leads. */
static void burst(u32 stop)
{
#define LABEL(operation) &&operation,
    static const void *const labels[] = {OPERATIONS(LABEL)};
    const struct op *op;
    u32 at = pc, next, a, b, imm;
    u64 time = now, count = 0;
#define LEAVE() (pc = at, now = time)
#define RETURN() (at = pc, time = now)
#define RUN()                                                                                                          \
    do {                                                                                                               \
        count++;                                                                                                       \
        time += tick_cost;                                                                                             \
        next = at + op->size, a = x[op->rs1], b = x[op->rs2], imm = (u32)op->imm;                                      \
        goto *labels[op->operation];                                                                                   \
    } while (0)
#define GO_ON()                                                                                                        \
    do {                                                                                                               \
        if (__builtin_expect(time >= run_limit, 0))                                                                    \
            goto end;                                                                                                  \
        if (__builtin_expect(at >> 12 != code_page || (at & 4095) > 4092, 0))                                          \
            goto another_page;                                                                                         \
        u32 in;                                                                                                        \
        memcpy(&in, code + (at & 4095), 4);                                                                            \
        op = known(at, in);                                                                                            \
        RUN();                                                                                                         \
    } while (0)
#define NEXT() do { at = next; GO_ON(); } while (0)
#define RD x[op->rd]
#define SET(value) RD = (value); NEXT();
#define LOAD(type)                                                                                                     \
    do {                                                                                                               \
        u32 from = a + imm;                                                                                            \
        const u8 *page = read_page[from >> 12];                                                                        \
        type value;                                                                                                    \
        if (__builtin_expect(page != 0 && (from & 4095) + sizeof value <= 4096, 1)) {                                  \
            memcpy(&value, page + (from & 4095), sizeof value);                                                        \
        } else {                                                                                                       \
            LEAVE();                                                                                                   \
            value = (type)load_slow(from, sizeof value);                                                               \
            RETURN();                                                                                                  \
        }                                                                                                              \
        RD = (u32)(s32)value;                                                                                          \
        NEXT();                                                                                                        \
    } while (0)
#define STORE(type)                                                                                                    \
    do {                                                                                                               \
        u32 to = a + imm;                                                                                              \
        u8 *page = write_page[to >> 12];                                                                               \
        type value = (type)b;                                                                                          \
        if (__builtin_expect(page != 0 && (to & 4095) + sizeof value <= 4096, 1)) {                                    \
            memcpy(page + (to & 4095), &value, sizeof value);                                                          \
        } else {                                                                                                       \
            LEAVE();                                                                                                   \
            store_slow(to, value, sizeof value);                                                                       \
            RETURN();                                                                                                  \
        }                                                                                                              \
        NEXT();                                                                                                        \
    } while (0)
#define JUMP(target) do { at = (target); time += JUMP_CYCLES * tick_cost; GO_ON(); } while (0)
#define BRANCH(condition) if (condition) JUMP(at + imm); NEXT()
#define TRAP(cause, value) do { LEAVE(); trap(cause, value); RETURN(); GO_ON(); } while (0)

    GO_ON();
another_page:
    if (at == stop)
        goto end;
    LEAVE();
    op = fetch();
    RETURN();
    if (op != 0)
        RUN();
    if (reset_wanted || faulted)
        goto end;
    GO_ON();

ILLEGAL: TRAP(2, imm);
LB: LOAD(int8_t);
LH: LOAD(int16_t);
LW: LOAD(u32);
LBU: LOAD(u8);
LHU: LOAD(u16);
SB: STORE(u8);
SH: STORE(u16);
SW: STORE(u32);
ADDI: SET(a + imm);
SLLI: SET(a << imm);
SLTI: SET((s32)a < (s32)imm);
SLTIU: SET(a < imm);
XORI: SET(a ^ imm);
SRLI: SET(a >> imm);
SRAI: SET((u32)((s32)a >> imm));
ORI: SET(a | imm);
ANDI: SET(a & imm);
LUI: SET(imm);
AUIPC: SET(at + imm);
ADD: SET(a + b);
SUB: SET(a - b);
SLL: SET(a << (b & 31));
SLT: SET((s32)a < (s32)b);
SLTU: SET(a < b);
XOR: SET(a ^ b);
SRL: SET(a >> (b & 31));
SRA: SET((u32)((s32)a >> (b & 31)));
OR: SET(a | b);
AND: SET(a & b);
MUL: SET(a * b);
MULH: SET((u32)((u64)((s64)(s32)a * (s32)b) >> 32));
MULHSU: SET((u32)((u64)((s64)(s32)a * (s64)(u64)b) >> 32));
MULHU: SET((u32)((u64)a * b >> 32));
DIVIDE: time += DIVIDE_CYCLES * tick_cost; SET(divide(imm, a, b));
BEQ: BRANCH(a == b);
BNE: BRANCH(a != b);
BLT: BRANCH((s32)a < (s32)b);
BGE: BRANCH((s32)a >= (s32)b);
BLTU: BRANCH(a < b);
BGEU: BRANCH(a >= b);
JAL: RD = next; JUMP(at + imm);
JALR: RD = next; JUMP((a + imm) & ~1u);
FENCE: NEXT();
BREAK: TRAP(3, at);
SYSTEM:
    LEAVE();
    next = system_instruction(op);
    RETURN();
    if (next & 1)
        GO_ON();
    NEXT();
end:
    LEAVE();
    instructions += count;
}

static void run(u64 until, u32 stop)
{
    while (now < until && !faulted && pc != stop) {
        if (alarm_next() <= now)
            alarms_fire();
        if (reset_wanted) {
            if (nested)
                return; /* the caller's frames belong to the chip as it was */
            boot(reset_wanted);
        }
        if (interrupts_changed) {
            interrupts_changed = 0;
            int line = mstatus & MIE ? interrupt_pending() : 0;
            if (line != 0)
                trap(0x80000000u | (u32)line, 0);
        }
        u64 next = alarm_next();
        run_limit = next < until ? next : until;
        if (interrupts_changed)
            continue;
        burst(stop);
    }
}

void cpu_run(u64 until)
{
    run_until = until;
    run(until, 1);
}

/* Calls a function of the guest with interrupts off and comes back when it returns: the guest's own code runs on a
   stack that it does not use. */
u32 guest_call(u32 function, u32 stack, int count, const u32 *arguments)
{
    u32 saved[33], at = pc, status = mstatus;
    memcpy(saved, x, sizeof x);
    for (int i = 0; i < count; i++)
        x[10 + i] = arguments[i];
    x[1] = rom_returns;
    x[2] = stack != 0 ? stack : (x[2] - 512) & ~15u;
    pc = function;
    mstatus &= ~MIE;
    nested++;
    run(NEVER, rom_returns);
    if (nested > 0)
        nested--;
    u32 result = x[10];
    memcpy(x, saved, sizeof x);
    pc = at;
    mstatus = status;
    interrupts_changed = 1;
    pause_cpu();
    return result;
}
