/* What the pieces of the mask ROM share. A function takes its arguments from registers and leaves its answer there. */
#ifndef ROM_H
#define ROM_H
#include "c3.h"

#define A0 x[10]
#define A1 x[11]
#define A2 x[12]
#define A3 x[13]

static inline void takes(u32 cycles) { now += cycles * tick_cost; }
static inline u8 byte(u32 address) { return (u8)load(address, 1); }
static inline u64 pair(u32 low, u32 high) { return (u64)high << 32 | low; }
static inline void give64(u64 value) { A0 = (u32)value, A1 = (u32)(value >> 32); }
static inline float f32(u32 bits) { float value; memcpy(&value, &bits, 4); return value; }
static inline u32 bits32(float value) { u32 bits; memcpy(&bits, &value, 4); return bits; }
static inline double f64(u32 low, u32 high) { u64 bits = pair(low, high); double value; memcpy(&value, &bits, 8); return value; }
static inline void give_double(double value) { u64 bits; memcpy(&bits, &value, 8); give64(bits); }

#define ROM(address, name, call, cycles) void call(void);
#include "rom_functions.h"
#undef ROM
void guest_free(u32 address);
#endif
