/* An instruction taken apart: what the CPU runs. */
#ifndef DECODE_H
#define DECODE_H
#include "c3.h"

/* A compressed instruction is the one that it stands for. ILLEGAL is 0: memory of zeros decodes to it. */
#define OPERATIONS(OP)                                                                                                 \
    OP(ILLEGAL) OP(LB) OP(LH) OP(LW) OP(LBU) OP(LHU) OP(SB) OP(SH) OP(SW)                                              \
    OP(ADDI) OP(SLLI) OP(SLTI) OP(SLTIU) OP(XORI) OP(SRLI) OP(SRAI) OP(ORI) OP(ANDI) OP(LUI) OP(AUIPC)                 \
    OP(ADD) OP(SUB) OP(SLL) OP(SLT) OP(SLTU) OP(XOR) OP(SRL) OP(SRA) OP(OR) OP(AND)                                    \
    OP(MUL) OP(MULH) OP(MULHSU) OP(MULHU) OP(DIVIDE)                                                                   \
    OP(BEQ) OP(BNE) OP(BLT) OP(BGE) OP(BLTU) OP(BGEU) OP(JAL) OP(JALR) OP(FENCE) OP(BREAK) OP(SYSTEM)
#define NAME(operation) operation,
enum operation { OPERATIONS(NAME) };
#undef NAME

struct op {
    u32 in;   /* what it was decoded from */
    s32 imm;  /* of ILLEGAL what mtval shows */
    u8 operation, rd, rs1, rs2; /* an rd of 0 is NOWHERE here */
    u32 size; /* bytes */
};

#define NOWHERE 32 /* in x[]: x0 is never written */

struct op decode(u32 in);
#endif
