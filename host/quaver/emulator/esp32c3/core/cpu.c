/* The RV32IMC core with its machine-mode CSRs. TRM: ESP-RISC-V CPU.

   Timing: an instruction takes one cycle, a taken branch or jump and a division more. */
#include "blocks.h"

#define JUMP_CYCLES 1   /* beyond the first */

#define MIE 0x08u
#define MPIE 0x80u

u32 x[33], pc;
u64 instructions, idle_ticks;
static u32 mstatus, mtvec, mepc, mcause, mtval, mscratch;
static u32 csrs[4096];
static u64 run_until;
static int nested;

void cpu_reset(u32 entry, u32 stack)
{
    memset(x, 0, sizeof x);
    memset(csrs, 0, sizeof csrs);
    mstatus = mtvec = mepc = mcause = mtval = mscratch = 0;
    pc = entry;
    x[2] = stack;
    nested = 0;
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

/* The block at pc, where none is decoded; null where pc has moved on without one. */
static const struct block *fetch(void)
{
    if (radio_hooks(pc)) {
        radio_call();
        return 0;
    }
    if (pc - 0x40000000u < 0x60000u) {
        if (pc != rom_returns)
            rom_call();
        return 0;
    }
    if (read_page[pc >> 12] == 0 || pc < 0x40000000u) {
        trap(1, pc);
        pause_cpu();
        return 0;
    }
    return block_make(pc);
}

/* SYSTEM instructions; returns the next pc, or 1 where pc is set already. */
static u32 system_instruction(const struct op *op)
{
    u32 in = op->imm, kind = in >> 12 & 7, number = in >> 20;
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

/* Instructions until run_limit. While nobody else looks at them, pc and now are in `op` or `at`, and in `time`. Each
   operation goes on to the next by a jump of its own: from one common jump, the host's processor could not tell where
   it leads. */
static void burst(u32 stop)
{
#define LABEL(operation) &&operation,
    static const void *const labels[] = {OPERATIONS(LABEL)};
    const struct block *block;
    const struct op *op, *first;
    struct op single[2]; /* near the limit: one instruction, and an END */
    u32 at = pc, cost = tick_cost;
    u64 time = now, count = 0;
#define A x[op->rs1]
#define B x[op->rs2]
#define IMM op->imm
#define RUN() goto *labels[op->operation]
#define NEXT() do { time += cost; op++; RUN(); } while (0)
#define LOOK() do { count += (u64)(op - first); goto look; } while (0)
#define JUMP(target) do { at = (target); time += (1 + JUMP_CYCLES) * cost; op++; LOOK(); } while (0)
#define SET(value) do { x[op->rd] = (value); NEXT(); } while (0)
/* Round what others may look at and change: the time, the limit, how long a cycle is, and what is in memory. */
#define LEAVE() (pc = op->at, now = time + cost)
#define RETURN() (time = now, cost = tick_cost)
/* And on, in this block where that keeps to the limit. */
#define NEXT_AFTER_OTHERS()                                                                                            \
    do {                                                                                                               \
        op++;                                                                                                          \
        if (time + block->cycles * (u64)cost > run_limit) {                                                            \
            at = op->at;                                                                                               \
            LOOK();                                                                                                    \
        }                                                                                                              \
        RUN();                                                                                                         \
    } while (0)
#define LOAD(type)                                                                                                     \
    do {                                                                                                               \
        u32 from = A + IMM;                                                                                            \
        const u8 *page = read_page[from >> 12];                                                                        \
        type value;                                                                                                    \
        if (__builtin_expect(page != 0 && (from & 4095) + sizeof value <= 4096, 1)) {                                  \
            memcpy(&value, page + (from & 4095), sizeof value);                                                        \
            SET((u32)(s32)value);                                                                                      \
        }                                                                                                              \
        LEAVE();                                                                                                       \
        value = (type)load_slow(from, sizeof value);                                                                   \
        RETURN();                                                                                                      \
        x[op->rd] = (u32)(s32)value;                                                                                   \
        NEXT_AFTER_OTHERS();                                                                                           \
    } while (0)
#define STORE(type)                                                                                                    \
    do {                                                                                                               \
        u32 to = A + IMM;                                                                                              \
        u8 *page = write_page[to >> 12];                                                                               \
        type value = (type)B;                                                                                          \
        if (__builtin_expect(page != 0 && (to & 4095) + sizeof value <= 4096, 1)) {                                    \
            memcpy(page + (to & 4095), &value, sizeof value);                                                          \
            code_writes[to >> 12 & 127]++;                                                                             \
            NEXT();                                                                                                    \
        }                                                                                                              \
        LEAVE();                                                                                                       \
        store_slow(to, value, sizeof value);                                                                           \
        RETURN();                                                                                                      \
        NEXT_AFTER_OTHERS();                                                                                           \
    } while (0)
#define BRANCH(condition) do { if (condition) JUMP(IMM); NEXT(); } while (0)
#define TRAP(cause, value) do { LEAVE(); trap(cause, value); time = now; at = pc; op++; LOOK(); } while (0)

look:
    if (time >= run_limit)
        goto end;
    block = block_find(at);
    if (__builtin_expect(block == 0, 0)) {
        if (at == stop)
            goto end;
        pc = at, now = time;
        block = fetch();
        at = pc;
        RETURN();
        if (block == 0) {
            if (reset_wanted || faulted)
                goto end;
            goto look;
        }
    }
    op = first = block->ops;
    if (__builtin_expect(time + block->cycles * (u64)cost > run_limit, 0)) {
        single[0] = *op;
        single[1] = (struct op){.at = op->next, .operation = END};
        op = first = single;
    }
    RUN();

END: at = op->at; LOOK();
ILLEGAL: TRAP(2, IMM);
LB: LOAD(int8_t);
LH: LOAD(int16_t);
LW: LOAD(u32);
LBU: LOAD(u8);
LHU: LOAD(u16);
SB: STORE(u8);
SH: STORE(u16);
SW: STORE(u32);
ADDI: SET(A + IMM);
SLLI: SET(A << IMM);
SLTI: SET((s32)A < (s32)IMM);
SLTIU: SET(A < IMM);
XORI: SET(A ^ IMM);
SRLI: SET(A >> IMM);
SRAI: SET((u32)((s32)A >> IMM));
ORI: SET(A | IMM);
ANDI: SET(A & IMM);
LUI: SET(IMM);
AUIPC: SET(IMM);
ADD: SET(A + B);
SUB: SET(A - B);
SLL: SET(A << (B & 31));
SLT: SET((s32)A < (s32)B);
SLTU: SET(A < B);
XOR: SET(A ^ B);
SRL: SET(A >> (B & 31));
SRA: SET((u32)((s32)A >> (B & 31)));
OR: SET(A | B);
AND: SET(A & B);
MUL: SET(A * B);
MULH: SET((u32)((u64)((s64)(s32)A * (s32)B) >> 32));
MULHSU: SET((u32)((u64)((s64)(s32)A * (s64)(u64)B) >> 32));
MULHU: SET((u32)((u64)A * B >> 32));
DIVIDE: time += DIVIDE_CYCLES * cost; SET(divide(IMM, A, B));
BEQ: BRANCH(A == B);
BNE: BRANCH(A != B);
BLT: BRANCH((s32)A < (s32)B);
BGE: BRANCH((s32)A >= (s32)B);
BLTU: BRANCH(A < B);
BGEU: BRANCH(A >= B);
JAL: x[op->rd] = op->next; JUMP(IMM);
JALR: { u32 to = (A + IMM) & ~1u; x[op->rd] = op->next; JUMP(to); }
FENCE: NEXT();
BREAK: TRAP(3, op->at);
SYSTEM:
    LEAVE();
    at = system_instruction(op);
    RETURN();
    if (at & 1)
        at = pc;
    op++;
    LOOK();
end:
    pc = at;
    now = time;
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
    blocks_free();
    code_writes[CODE_FLASH]++; /* the host can write to it */
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
