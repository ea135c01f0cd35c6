/* An instruction taken apart: what the CPU runs. */
#ifndef DECODE_H
#define DECODE_H
#include "c3.h"

/* A compressed instruction is the one that it stands for. END is none: it stands behind the last of a block. */
#define OPERATIONS(OP)                                                                                                 \
    OP(END) OP(ILLEGAL) OP(LB) OP(LH) OP(LW) OP(LBU) OP(LHU) OP(SB) OP(SH) OP(SW)                                      \
    OP(ADDI) OP(SLLI) OP(SLTI) OP(SLTIU) OP(XORI) OP(SRLI) OP(SRAI) OP(ORI) OP(ANDI) OP(LUI) OP(AUIPC)                 \
    OP(ADD) OP(SUB) OP(SLL) OP(SLT) OP(SLTU) OP(XOR) OP(SRL) OP(SRA) OP(OR) OP(AND)                                    \
    OP(MUL) OP(MULH) OP(MULHSU) OP(MULHU) OP(DIVIDE)                                                                   \
    OP(BEQ) OP(BNE) OP(BLT) OP(BGE) OP(BLTU) OP(BGEU) OP(JAL) OP(JALR) OP(FENCE) OP(BREAK) OP(SYSTEM)
#define NAME(operation) operation,
enum operation { OPERATIONS(NAME) };
#undef NAME

struct op {
    u32 at, next; /* its address, and the one behind it */
    u32 imm; /* of branches, JAL and AUIPC an address; of ILLEGAL what mtval shows; of SYSTEM the instruction */
    u8 operation, rd, rs1, rs2; /* an rd of 0 is NOWHERE here */
};

#define NOWHERE 32 /* in x[]: x0 is never written */

struct op decode(u32 at, u32 in);
#endif
