/* The RV32IMC core with its machine-mode CSRs. TRM: ESP-RISC-V CPU.

   Timing: an instruction takes one cycle, a taken branch or jump and a division more (the constants below). */
#include "c3.h"

#define JUMP_CYCLES 1   /* beyond the first */
#define DIVIDE_CYCLES 9

#define MIE 0x08u
#define MPIE 0x80u

u32 x[32], pc;
u64 instructions, idle_ticks;
static u32 mstatus, mtvec, mepc, mcause, mtval, mscratch;
static u32 csrs[4096];
static u64 run_until;
static u32 code_page = ~0u; /* address >> 12 of the page that `code` is */
static const u8 *code;
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

#define SIGNED(value, bits) ((s32)((u32)(value) << (32 - (bits))) >> (32 - (bits)))

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

static int fetch(u32 *instruction)
{
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
        code = read_page[page];
        code_page = bits ? ~0u : page; /* a page with a hook is looked at each time */
    }
    u32 at = pc & 4095;
    if (at <= 4092)
        memcpy(instruction, code + at, 4);
    else
        *instruction = load(pc, 2) | ((load(pc, 1) & 3) == 3 ? load(pc + 2, 2) << 16 : 0);
    return 1;
}

#define JUMP(target) do { next = (target); now += JUMP_CYCLES * tick_cost; } while (0)

/* A 16-bit instruction; returns the next pc, or 1 where it trapped. */
static inline u32 compressed(u32 in)
{
    u32 next = pc + 2, rd = in >> 7 & 31, rs2 = in >> 2 & 31, low = 8 + (in >> 2 & 7), high = 8 + (in >> 7 & 7);
    u32 imm6 = (in >> 7 & 0x20) | (in >> 2 & 31);
    switch ((in & 3) << 3 | in >> 13) {
    case 0: { /* c.addi4spn */
        u32 imm = (in >> 7 & 0x30) | (in >> 1 & 0x3C0) | (in >> 4 & 4) | (in >> 2 & 8);
        if (imm == 0)
            return trap(2, in), 1;
        x[low] = x[2] + imm;
        break;
    }
    case 2: x[low] = load(x[high] + ((in >> 7 & 0x38) | (in >> 4 & 4) | (in << 1 & 0x40)), 4); break;
    case 6: store(x[high] + ((in >> 7 & 0x38) | (in >> 4 & 4) | (in << 1 & 0x40)), x[low], 4); break;
    case 8: x[rd] += (u32)SIGNED(imm6, 6); break;
    case 9: case 13: { /* c.jal, c.j */
        u32 imm = (in >> 1 & 0x800) | (in >> 7 & 0x10) | (in >> 1 & 0x300) | (in << 2 & 0x400) | (in >> 1 & 0x40) |
                  (in << 1 & 0x80) | (in >> 2 & 0xE) | (in << 3 & 0x20);
        if (in >> 13 == 1)
            x[1] = next;
        JUMP(pc + (u32)SIGNED(imm, 12));
        break;
    }
    case 10: x[rd] = (u32)SIGNED(imm6, 6); break;
    case 11:
        if (rd == 2)
            x[2] += (u32)SIGNED((in >> 3 & 0x200) | (in >> 2 & 0x10) | (in << 1 & 0x40) | (in << 4 & 0x180) |
                                    (in << 3 & 0x20), 10);
        else
            x[rd] = (u32)SIGNED(imm6, 6) << 12;
        break;
    case 12:
        switch (in >> 10 & 3) {
        case 0: x[high] >>= imm6 & 31; break;
        case 1: x[high] = (u32)((s32)x[high] >> (imm6 & 31)); break;
        case 2: x[high] &= (u32)SIGNED(imm6, 6); break;
        default:
            switch (in >> 5 & 3) {
            case 0: x[high] -= x[low]; break;
            case 1: x[high] ^= x[low]; break;
            case 2: x[high] |= x[low]; break;
            default: x[high] &= x[low];
            }
        }
        break;
    case 14: case 15: /* c.beqz, c.bnez */
        if ((x[high] == 0) == (in >> 13 == 6)) {
            u32 imm = (in >> 4 & 0x100) | (in >> 7 & 0x18) | (in << 1 & 0xC0) | (in >> 2 & 6) | (in << 3 & 0x20);
            JUMP(pc + (u32)SIGNED(imm, 9));
        }
        break;
    case 16: x[rd] <<= rs2; break;
    case 18: x[rd] = load(x[2] + ((in >> 7 & 0x20) | (in >> 2 & 0x1C) | (in << 4 & 0xC0)), 4); break;
    case 20:
        if (!(in >> 12 & 1)) {
            if (rs2 == 0)
                JUMP(x[rd] & ~1u);
            else
                x[rd] = x[rs2];
        } else if (rs2 == 0) {
            u32 target = x[rd] & ~1u;
            if (rd == 0)
                return trap(3, pc), 1;
            x[1] = next;
            JUMP(target);
        } else {
            x[rd] += x[rs2];
        }
        break;
    case 22: store(x[2] + ((in >> 7 & 0x3C) | (in >> 1 & 0xC0)), x[rs2], 4); break;
    default: return trap(2, in), 1;
    }
    return next;
}

/* SYSTEM instructions; returns the next pc, or 1 where pc is set already. */
static u32 system_instruction(u32 in)
{
    u32 kind = in >> 12 & 7, number = in >> 20, rd = in >> 7 & 31, rs1 = in >> 15 & 31;
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
    u32 before = csr_read(number), value = kind & 4 ? rs1 : x[rs1];
    switch (kind & 3) {
    case 1: csr_write(number, value); break;
    case 2: if (rs1 != 0) csr_write(number, before | value); break;
    default: if (rs1 != 0) csr_write(number, before & ~value);
    }
    x[rd] = before;
    return pc + 4;
}

/* Instructions until run_limit. */
static void burst(u32 stop)
{
    while (now < run_limit) {
        u32 in, next;
        x[0] = 0;
        if (__builtin_expect(pc >> 12 != code_page || (pc & 4095) > 4092, 0)) {
            if (pc == stop)
                return;
            if (!fetch(&in)) {
                if (reset_wanted || faulted)
                    return;
                continue;
            }
        } else {
            memcpy(&in, code + (pc & 4095), 4);
        }
        instructions++;
        now += tick_cost;
        if ((in & 3) != 3) {
            next = compressed(in & 0xFFFF);
            if (next & 1)
                continue;
            pc = next;
            continue;
        }
        u32 rd = in >> 7 & 31, kind = in >> 12 & 7, a = x[in >> 15 & 31], b = x[in >> 20 & 31];
        next = pc + 4;
        switch (in >> 2 & 31) {
        case 0: { /* loads */
            u32 address = a + (u32)((s32)in >> 20);
            switch (kind) {
            case 0: x[rd] = (u32)SIGNED(load(address, 1), 8); break;
            case 1: x[rd] = (u32)SIGNED(load(address, 2), 16); break;
            case 2: x[rd] = load(address, 4); break;
            case 4: x[rd] = load(address, 1); break;
            case 5: x[rd] = load(address, 2); break;
            default: trap(2, in); continue;
            }
            break;
        }
        case 3: break; /* fence */
        case 4: { /* with an immediate */
            u32 imm = (u32)((s32)in >> 20);
            switch (kind) {
            case 0: x[rd] = a + imm; break;
            case 1: x[rd] = a << (imm & 31); break;
            case 2: x[rd] = (s32)a < (s32)imm; break;
            case 3: x[rd] = a < imm; break;
            case 4: x[rd] = a ^ imm; break;
            case 5: x[rd] = in >> 30 & 1 ? (u32)((s32)a >> (imm & 31)) : a >> (imm & 31); break;
            case 6: x[rd] = a | imm; break;
            default: x[rd] = a & imm;
            }
            break;
        }
        case 5: x[rd] = pc + (in & 0xFFFFF000); break;
        case 8: { /* stores */
            u32 address = a + (u32)(((s32)in >> 25 << 5) | (s32)(in >> 7 & 31));
            switch (kind) {
            case 0: store(address, b, 1); break;
            case 1: store(address, b, 2); break;
            case 2: store(address, b, 4); break;
            default: trap(2, in); continue;
            }
            break;
        }
        case 12:
            if (in >> 25 == 1) {
                switch (kind) {
                case 0: x[rd] = a * b; break;
                case 1: x[rd] = (u32)((u64)((s64)(s32)a * (s32)b) >> 32); break;
                case 2: x[rd] = (u32)((u64)((s64)(s32)a * (s64)(u64)b) >> 32); break;
                case 3: x[rd] = (u32)((u64)a * b >> 32); break;
                default: x[rd] = divide(kind, a, b); now += DIVIDE_CYCLES * tick_cost;
                }
            } else {
                switch (kind) {
                case 0: x[rd] = in >> 30 & 1 ? a - b : a + b; break;
                case 1: x[rd] = a << (b & 31); break;
                case 2: x[rd] = (s32)a < (s32)b; break;
                case 3: x[rd] = a < b; break;
                case 4: x[rd] = a ^ b; break;
                case 5: x[rd] = in >> 30 & 1 ? (u32)((s32)a >> (b & 31)) : a >> (b & 31); break;
                case 6: x[rd] = a | b; break;
                default: x[rd] = a & b;
                }
            }
            break;
        case 13: x[rd] = in & 0xFFFFF000; break;
        case 24: {
            int taken;
            switch (kind) {
            case 0: taken = a == b; break;
            case 1: taken = a != b; break;
            case 4: taken = (s32)a < (s32)b; break;
            case 5: taken = (s32)a >= (s32)b; break;
            case 6: taken = a < b; break;
            case 7: taken = a >= b; break;
            default: trap(2, in); continue;
            }
            if (taken) {
                u32 imm = (in >> 19 & 0x1000) | (in << 4 & 0x800) | (in >> 20 & 0x7E0) | (in >> 7 & 0x1E);
                JUMP(pc + (u32)SIGNED(imm, 13));
            }
            break;
        }
        case 25: {
            u32 target = (a + (u32)((s32)in >> 20)) & ~1u;
            x[rd] = next;
            JUMP(target);
            break;
        }
        case 27: {
            u32 imm = (in >> 11 & 0x100000) | (in & 0xFF000) | (in >> 9 & 0x800) | (in >> 20 & 0x7FE);
            x[rd] = next;
            JUMP(pc + (u32)SIGNED(imm, 21));
            break;
        }
        case 28:
            next = system_instruction(in);
            if (next & 1)
                continue;
            break;
        default: trap(2, in); continue;
        }
        pc = next;
    }
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
    u32 saved[32], at = pc, status = mstatus;
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
