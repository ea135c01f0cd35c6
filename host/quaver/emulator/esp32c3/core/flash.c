/* The flash chip (4 MB, commands of a GD25Q32 or W25Q32) behind the two memory controllers, and power that fails at a
   flash operation. TRM: SPI Controller (SPI0 and SPI1). */
#include "c3.h"

#define SECTOR 4096u
#define PAGE 256u
#define FIRST_BYTE_TICKS (30 * TICKS_PER_US) /* what programming takes, typical: W25Q32JV datasheet, 9.6 */
#define NEXT_BYTE_TICKS (25 * TICKS_PER_US / 10)
#define PAGE_TICKS (400 * TICKS_PER_US) /* at most */
#define CLOCK_TICKS 2 /* a bit's time on the wires, at 80 MHz */
#define ERASE_TICKS (45000ull * TICKS_PER_US) /* a sector; larger blocks take 120 and 150 ms */
#define WRITING BIT(0)
#define WRITE_ENABLED BIT(1)

u64 flash_programmed, flash_erased;
u32 cut_after, cut_torn; /* cut_after: operations to the one at which the power fails, 0 for none */
static u8 status1, status2, status3, identity[8];
static u64 busy_until;
static int dark; /* the power has failed: nothing is taken until the chip starts again */

void flash_give_identity(const u8 *number) { memcpy(identity, number, sizeof identity); }

static u8 status(void) { return status1 | (now < busy_until ? WRITING : 0); }

/* Whether an operation is to be done: 0 not, 1 whole, 2 half of it. */
static int operation(u64 ticks)
{
    if (!(status1 & WRITE_ENABLED) || dark)
        return 0;
    status1 &= (u8)~WRITE_ENABLED;
    busy_until = now + ticks;
    if (cut_after != 0 && --cut_after == 0) {
        dark = 1;
        if (host.cut != 0)
            host.cut();
        reset_request(RESET_POWER_ON);
        return cut_torn ? 2 : 0;
    }
    return 1;
}

static void program(u32 address, const u8 *data, u32 count)
{
    u32 ticks = FIRST_BYTE_TICKS + (count != 0 ? count - 1 : 0) * NEXT_BYTE_TICKS;
    int how = operation(ticks < PAGE_TICKS ? ticks : PAGE_TICKS);
    if (how == 2)
        count /= 2;
    if (how != 0)
        for (u32 i = 0; i < count; i++)
            flash[((address & ~(PAGE - 1)) | ((address + i) & (PAGE - 1))) % FLASH_SIZE] &= data[i];
    code_writes[CODE_FLASH]++;
    flash_programmed += how != 0;
}

static void erase(u32 address, u32 size)
{
    int how = operation(size == SECTOR ? ERASE_TICKS : size == 32768 ? 120000ull * TICKS_PER_US : 150000ull * TICKS_PER_US);
    if (how != 0)
        memset(flash + (address % FLASH_SIZE & ~(size - 1)), 0xFF, how == 2 ? SECTOR / 2 : size);
    code_writes[CODE_FLASH]++;
    flash_erased += how != 0;
}

static void read(u32 address, u8 *data, u32 count)
{
    for (u32 i = 0; i < count; i++)
        data[i] = flash[(address + i) % FLASH_SIZE];
}

/* A command as the firmware spells it out: opcode, address, what goes out or comes in. */
static void user_command(u32 base, u8 *buffer)
{
    u32 user = REG(base + 0x18), address = REG(base + 4) & 0xFFFFFF;
    u32 in = user >> 28 & 1 ? ((REG(base + 0x28) & 0x3FF) + 1) / 8 : 0;
    u32 out = user >> 27 & 1 ? ((REG(base + 0x24) & 0x3FF) + 1) / 8 : 0;
    u32 opcode = REG(base + 0x20) & 0xFF, wires = opcode == 0xBB || opcode == 0x3B ? 2 : opcode == 0xEB || opcode == 0x6B ? 4 : 1;
    u32 clocks = 8 + (user >> 29 & 1 ? (REG(base + 0x1C) & 63) + 1 : 0) + (in + out) * 8 / wires;
    in = in > 64 ? 64 : in;
    out = out > 64 ? 64 : out;
    if (user >> 30 & 1)
        clocks += 24 / (opcode == 0xBB || opcode == 0xEB ? wires : 1);
    now += clocks * CLOCK_TICKS; /* the CPU polls until it is through */
    switch (opcode) {
    case 0x01:
        if (status1 & WRITE_ENABLED) {
            status1 = buffer[0] & 0xFC;
            if (out > 1)
                status2 = buffer[1];
        }
        break;
    case 0x02: program(address, buffer, out); break;
    case 0x03: case 0x0B: case 0x3B: case 0x6B: case 0xBB: case 0xEB: read(address, buffer, in); break;
    case 0x04: status1 &= (u8)~WRITE_ENABLED; break;
    case 0x05: buffer[0] = status(); break;
    case 0x06: status1 |= WRITE_ENABLED; break;
    case 0x11: status3 = buffer[0]; break;
    case 0x15: buffer[0] = status3; break;
    case 0x20: erase(address, SECTOR); break;
    case 0x31: status2 = buffer[0]; status1 &= (u8)~WRITE_ENABLED; break;
    case 0x35: buffer[0] = status2; break;
    case 0x4B: memcpy(buffer, identity, in < sizeof identity ? in : sizeof identity); break;
    case 0x52: erase(address, 32768); break;
    case 0x5A: memset(buffer, 0xFF, in); break; /* no table of parameters */
    case 0x9F: buffer[0] = 0x20, buffer[1] = 0x40, buffer[2] = 0x16; break;
    case 0xD8: erase(address, 65536); break;
    }
}

/* The commands that the controller knows by itself. */
static void controller_command(u32 base, u32 command, u8 *buffer)
{
    u32 address = REG(base + 4), count = ((REG(base + 0x28) & 0x3FF) + 1) / 8;
    if (command >> 30 & 1)
        status1 |= WRITE_ENABLED;
    if (command >> 29 & 1)
        status1 &= (u8)~WRITE_ENABLED;
    if (command >> 28 & 1)
        REG(base + 0x58) = 0x164020;
    if (command >> 27 & 1)
        REG(base + 0x2C) = (REG(base + 0x2C) & ~0xFFFFu) | status() | (u32)status2 << 8;
    if (command >> 31 & 1)
        read(address & 0xFFFFFF, buffer, count > 64 ? 64 : count);
    if (command >> 25 & 1) {
        u32 length = address >> 24 ? address >> 24 : ((REG(base + 0x24) & 0x3FF) + 1) / 8;
        program(address & 0xFFFFFF, buffer, length > 64 ? 64 : length);
    }
    if (command >> 24 & 1)
        erase(address & 0xFFFFFF, SECTOR);
    if (command >> 23 & 1)
        erase(address & 0xFFFFFF, 65536);
}

static void write(u32 base, u32 offset, u32 value)
{
    if (offset != 0) {
        REG(base + offset) = value;
        return;
    }
    if (value >> 18 & 1)
        user_command(base, (u8 *)&REG(base + 0x58));
    else if (value >> 17)
        controller_command(base, value, (u8 *)&REG(base + 0x58));
}

static u32 mem_read(u32 base, u32 offset)
{
    return offset == 0 || offset == 0x54 ? 0 : REG(base + offset); /* no command runs, the state is idle */
}

static u32 mem0_read(u32 offset) { return mem_read(0x60003000, offset); }
static u32 mem1_read(u32 offset) { return mem_read(0x60002000, offset); }
static void mem0_write(u32 offset, u32 value) { write(0x60003000, offset, value); }
static void mem1_write(u32 offset, u32 value) { write(0x60002000, offset, value); }
static void chip_reset(void) { status1 = 0, dark = 0, busy_until = 0; }

const struct device spi_mem0_device = {0x60003000, mem0_read, mem0_write, 0};
const struct device spi_mem1_device = {0x60002000, mem1_read, mem1_write, chip_reset};
