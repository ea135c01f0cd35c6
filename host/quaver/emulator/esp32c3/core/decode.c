/* Takes instructions of RV32IMC apart. The RISC-V Instruction Set Manual, volume I: RV32I, "M" and "C". */
#include "decode.h"

#define SIGNED(value, bits) ((s32)((u32)(value) << (32 - (bits))) >> (32 - (bits)))

static struct op compressed(u32 in)
{
    u32 rd = in >> 7 & 31, rs2 = in >> 2 & 31, low = 8 + (in >> 2 & 7), high = 8 + (in >> 7 & 7);
    s32 imm6 = SIGNED((in >> 7 & 0x20) | (in >> 2 & 31), 6);
#define OP(operation, rd, rs1, rs2, imm) ((struct op){0, 2, (u32)(imm), operation, (u8)(rd), (u8)(rs1), (u8)(rs2)})
    switch ((in & 3) << 3 | in >> 13) {
    case 0: { /* c.addi4spn */
        u32 imm = (in >> 7 & 0x30) | (in >> 1 & 0x3C0) | (in >> 4 & 4) | (in >> 2 & 8);
        return imm == 0 ? OP(ILLEGAL, 0, 0, 0, in) : OP(ADDI, low, 2, 0, imm);
    }
    case 2: return OP(LW, low, high, 0, (in >> 7 & 0x38) | (in >> 4 & 4) | (in << 1 & 0x40));
    case 6: return OP(SW, 0, high, low, (in >> 7 & 0x38) | (in >> 4 & 4) | (in << 1 & 0x40));
    case 8: return OP(ADDI, rd, rd, 0, imm6);
    case 9: case 13: { /* c.jal, c.j */
        u32 imm = (in >> 1 & 0x800) | (in >> 7 & 0x10) | (in >> 1 & 0x300) | (in << 2 & 0x400) | (in >> 1 & 0x40) |
                  (in << 1 & 0x80) | (in >> 2 & 0xE) | (in << 3 & 0x20);
        return OP(JAL, in >> 13 == 1, 0, 0, SIGNED(imm, 12));
    }
    case 10: return OP(ADDI, rd, 0, 0, imm6);
    case 11:
        if (rd != 2)
            return OP(LUI, rd, 0, 0, (u32)imm6 << 12);
        return OP(ADDI, 2, 2, 0, SIGNED((in >> 3 & 0x200) | (in >> 2 & 0x10) | (in << 1 & 0x40) | (in << 4 & 0x180) |
                                            (in << 3 & 0x20), 10));
    case 12:
        switch (in >> 10 & 3) {
        case 0: return OP(SRLI, high, high, 0, imm6 & 31);
        case 1: return OP(SRAI, high, high, 0, imm6 & 31);
        case 2: return OP(ANDI, high, high, 0, imm6);
        default: {
            static const u8 kinds[] = {SUB, XOR, OR, AND};
            return OP(kinds[in >> 5 & 3], high, high, low, 0);
        }
        }
    case 14: case 15: { /* c.beqz, c.bnez */
        u32 imm = (in >> 4 & 0x100) | (in >> 7 & 0x18) | (in << 1 & 0xC0) | (in >> 2 & 6) | (in << 3 & 0x20);
        return OP(in >> 13 == 6 ? BEQ : BNE, 0, high, 0, SIGNED(imm, 9));
    }
    case 16: return OP(SLLI, rd, rd, 0, rs2);
    case 18: return OP(LW, rd, 2, 0, (in >> 7 & 0x20) | (in >> 2 & 0x1C) | (in << 4 & 0xC0));
    case 20:
        if (!(in >> 12 & 1))
            return rs2 == 0 ? OP(JALR, 0, rd, 0, 0) : OP(ADD, rd, 0, rs2, 0);
        if (rs2 != 0)
            return OP(ADD, rd, rd, rs2, 0);
        return rd == 0 ? OP(BREAK, 0, 0, 0, 0) : OP(JALR, 1, rd, 0, 0);
    case 22: return OP(SW, 0, 2, rs2, (in >> 7 & 0x3C) | (in >> 1 & 0xC0));
    default: return OP(ILLEGAL, 0, 0, 0, in);
    }
#undef OP
}

static struct op whole(u32 in)
{
    u32 kind = in >> 12 & 7, rd = in >> 7 & 31, rs1 = in >> 15 & 31, rs2 = in >> 20 & 31;
    s32 imm = (s32)in >> 20; /* as most have it */
#define OP(operation, imm) ((struct op){0, 4, (u32)(imm), operation, (u8)rd, (u8)rs1, (u8)rs2})
#define NONE OP(ILLEGAL, in)
    switch (in >> 2 & 31) {
    case 0: {
        static const u8 loads[] = {LB, LH, LW, ILLEGAL, LBU, LHU, ILLEGAL, ILLEGAL};
        return loads[kind] == ILLEGAL ? NONE : OP(loads[kind], imm);
    }
    case 3: return OP(FENCE, 0);
    case 4: {
        static const u8 immediates[] = {ADDI, SLLI, SLTI, SLTIU, XORI, SRLI, ORI, ANDI};
        if (kind == 1 || kind == 5)
            return OP(kind == 5 && in >> 30 & 1 ? SRAI : immediates[kind], imm & 31);
        return OP(immediates[kind], imm);
    }
    case 5: return OP(AUIPC, in & 0xFFFFF000);
    case 8:
        return kind > 2 ? NONE : OP(SB + kind, (u32)(((s32)in >> 25 << 5) | (s32)rd));
    case 12: {
        static const u8 registers_only[] = {ADD, SLL, SLT, SLTU, XOR, SRL, OR, AND};
        if (in >> 25 == 1)
            return OP(kind < 4 ? MUL + kind : DIVIDE, kind);
        if (in >> 30 & 1 && (kind == 0 || kind == 5))
            return OP(kind == 0 ? SUB : SRA, 0);
        return OP(registers_only[kind], 0);
    }
    case 13: return OP(LUI, in & 0xFFFFF000);
    case 24: {
        static const u8 branches[] = {BEQ, BNE, ILLEGAL, ILLEGAL, BLT, BGE, BLTU, BGEU};
        u32 to = (in >> 19 & 0x1000) | (in << 4 & 0x800) | (in >> 20 & 0x7E0) | (in >> 7 & 0x1E);
        return branches[kind] == ILLEGAL ? NONE : OP(branches[kind], SIGNED(to, 13));
    }
    case 25: return OP(JALR, imm);
    case 27: {
        u32 to = (in >> 11 & 0x100000) | (in & 0xFF000) | (in >> 9 & 0x800) | (in >> 20 & 0x7FE);
        return OP(JAL, SIGNED(to, 21));
    }
    case 28: return OP(SYSTEM, in);
    default: return NONE;
    }
#undef NONE
#undef OP
}

/* in: four bytes from its first; of a compressed one the last two do not matter. */
struct op decode(u32 at, u32 in)
{
    struct op op = (in & 3) == 3 ? whole(in) : compressed(in & 0xFFFF);
    op.at = at;
    op.next += at;
    if (op.operation == AUIPC || op.operation == JAL || (op.operation >= BEQ && op.operation <= BGEU))
        op.imm += at;
    if (op.rd == 0)
        op.rd = NOWHERE;
    return op;
}
