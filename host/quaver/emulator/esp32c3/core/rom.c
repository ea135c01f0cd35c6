/* The mask ROM by what its functions do: none of its bytes are here. rom_functions.h has their names and addresses.

   Each takes an estimate of the time that such a function takes: a fixed part, and one for each byte it handles. Here
   are the functions of the chip and the table. */
#include "rom.h"

#define CHIP_DATA 0x3FCDFE00u /* where the ROM keeps what it knows of the flash chip */
u32 rom_returns = 0x4005FFF0;

/* ---- chip */
void rom_reset_reason(void) { A0 = load(0x60008038, 4) & 63; }
void rom_wakeup_cause(void) { A0 = load(0x600080F8, 4) & 0x1FFFF; }
void rom_delay(void) { now += (u64)A0 * TICKS_PER_US; }
void rom_nothing(void) {}
void rom_zero(void) { A0 = 0; }
void rom_one_character(void) { console_out((u8)A0); A0 = 0; }
void rom_cpu_mhz(void) { A0 = cpu_mhz; }
void rom_set_cpu_mhz(void) {} /* the registers have it */
void rom_apb_hertz(void) { A0 = 80000000; }
void rom_crystal_hertz(void) { A0 = 40000000; }
void rom_priority(void) { store(0x600C2114 + 4 * (A0 & 31), A1, 4); }
void rom_threshold(void) { store(0x600C2194, A0, 4); }
void rom_enable(void) { store(0x600C2104, load(0x600C2104, 4) | A0, 4); }
void rom_disable(void) { store(0x600C2104, load(0x600C2104, 4) & ~A0, 4); }
void rom_type(void)
{
    u32 types = load(0x600C2108, 4), bit = BIT(A0 & 31);
    store(0x600C2108, A1 & 1 ? types | bit : types & ~bit, 4);
}
void rom_route(void) { store(0x600C2000 + 4 * A1, A2, 4); }
void rom_pin_in(void) { store(0x60004154 + 4 * A1, (A0 & 31) | (A2 & 1) << 5 | BIT(6), 4); }
void rom_pin_out(void) { store(0x60004554 + 4 * A0, (A1 & 0xFF) | (A2 & 1) << 8 | (A3 & 1) << 9, 4); }
void rom_pull_up(void) { store(0x60009004 + 4 * A0, load(0x60009004 + 4 * A0, 4) | BIT(8), 4); }
void rom_pull_down(void) { store(0x60009004 + 4 * A0, load(0x60009004 + 4 * A0, 4) | BIT(7), 4); }
void rom_pad_gpio(void)
{
    u32 at = 0x60009004 + 4 * A0;
    store(at, (load(at, 4) & ~(7u << 12)) | 1u << 12, 4);
}
void rom_reset(void) { reset_request(RESET_CORE_SOFTWARE); }
void rom_reset_cpu(void) { reset_request(RESET_CPU_SOFTWARE); }
void rom_cache_line(void) { A0 = 32; }
void rom_pad_wp(void) { A0 = 0x3F; }
void rom_version_text(void) { A0 = 0x3FF1E000; }
void rom_frame_done(void) { guest_free(A0); }

/* ---- the table */
struct rom_function { u32 address; const char *name; void (*call)(void); u32 cycles; };
static const struct rom_function functions[] = {
#define ROM(address, name, call, cycles) {address, #name, call, cycles},
#include "rom_functions.h"
#undef ROM
};
static u16 by_address[0x60000 / 2]; /* index + 1 */

void rom_init(void)
{
    for (u32 i = 0; i < sizeof functions / sizeof *functions; i++)
        by_address[(functions[i].address - 0x40000000) / 2] = (u16)(i + 1);
}

void rom_call(void)
{
    u32 at = pc, index = by_address[(pc - 0x40000000) / 2], back = x[1];
    if (index == 0) {
        fault("the image called the mask ROM at 0x%08x (from 0x%08x), which is not modelled", at, back);
        return;
    }
    takes(functions[index - 1].cycles);
    functions[index - 1].call();
    pc = back;
}

void rom_tell_flash(void)
{
    const u32 chip[8] = {0x164020, FLASH_SIZE, 65536, 4096, 256, 0xFFFF, 0, 0};
    u32 at = CHIP_DATA;
    copy_in(CHIP_DATA, (const u8 *)chip, sizeof chip);
    copy_in(0x3FCDFFF0, (u8 *)&at, 4);
}
