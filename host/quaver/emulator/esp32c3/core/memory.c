/* Memory, the flash cache's MMU, and the way to the registers. TRM: System and Memory; External Memory Controller. */
#include "c3.h"
#include <stdlib.h>

u8 *read_page[1 << 20], *write_page[1 << 20];
u8 *flash, *sram, *rtc_memory;
u32 registers[0x100000 / 4];
u32 code_writes[129];
static u8 *cache_ram, *rom_data, *unmapped;
static const struct device *devices[256];
static u32 mmu[128];

#define ROM_DATA 0x3FF00000u
#define ROM_DATA_SIZE 0x20000u
#define INVALID BIT(8) /* of an MMU entry */

static const struct device *const all_devices[] = {
    &interrupt_device, &uart0_device, &uart1_device, &usb_device, &spi_mem0_device, &spi_mem1_device, &gpio_device, &pads_device, &rtc_device,
    &i2c_device, &ledc_device, &timer0_device, &timer1_device, &systimer_device, &spi2_device, &aes_device,
    &sha_device, &rsa_device, &dma_device, &adc_device, &system_device, &cache_device, &mmu_device,
    &rng_device, &bus_device, &clock_device, &front_end_device, &power_device};

static void map(u32 address, u32 size, u8 *memory, int writable)
{
    for (u32 at = 0; at < size; at += 4096) {
        read_page[(address + at) >> 12] = memory + at;
        if (writable)
            write_page[(address + at) >> 12] = memory + at;
    }
}

void memory_init(void)
{
    flash = malloc(FLASH_SIZE);
    memset(flash, 0xFF, FLASH_SIZE);
    sram = calloc(1, SRAM_SIZE);
    cache_ram = calloc(1, 0x4000);
    rtc_memory = calloc(1, RTC_MEMORY_SIZE);
    rom_data = calloc(1, ROM_DATA_SIZE);
    unmapped = calloc(1, 0x10000);
    map(ROM_DATA, ROM_DATA_SIZE, rom_data, 0);
    map(0x3FC80000, SRAM_SIZE, sram, 1); /* the same memory on the data bus */
    map(0x40380000, SRAM_SIZE, sram, 1); /* and on the instruction bus */
    map(0x4037C000, 0x4000, cache_ram, 1);
    map(0x50000000, RTC_MEMORY_SIZE, rtc_memory, 1);
    for (u32 i = 0; i < sizeof all_devices / sizeof *all_devices; i++)
        devices[(all_devices[i]->base >> 12) & 0xFF] = all_devices[i];
}

/* What code finds in the ROM's data: where the ROM's own variables begin in SRAM, and a version text. */
void memory_layout_table(void)
{
    const u32 layout = 0x1F000, first_used = 0x3FCDE710;
    u32 pointer = ROM_DATA + layout;
    memcpy(rom_data + 0x1FFFC, &pointer, 4); /* ets_rom_layout_p */
    for (u32 i = 0; i < 16; i++)
        memcpy(rom_data + layout + 4 * i, &first_used, 4);
    memcpy(rom_data + 0x1E000, "9387209", 8);
}

void devices_reset(void)
{
    memset(registers, 0, sizeof registers);
    for (u32 i = 0; i < sizeof all_devices / sizeof *all_devices; i++)
        if (all_devices[i]->reset != 0)
            all_devices[i]->reset();
}

/* One MMU entry maps 64 KiB of flash at the same place of both buses. */
void mmu_set(u32 entry, u32 value)
{
    u32 offset = (value & 0xFF) << 16;
    u8 *memory = (value & INVALID) || offset >= FLASH_SIZE ? unmapped : flash + offset;
    mmu[entry] = value;
    map(0x42000000 + (entry << 16), 0x10000, memory, 0);
    map(0x3C000000 + (entry << 16), 0x10000, memory, 0);
    code_writes[CODE_FLASH]++;
}

static void mmu_write(u32 offset, u32 value)
{
    if (offset < sizeof mmu)
        mmu_set(offset / 4, value);
}

static u32 mmu_read(u32 offset) { return offset < sizeof mmu ? mmu[offset / 4] : 0; }

static void mmu_reset(void)
{
    for (u32 i = 0; i < 128; i++)
        mmu_set(i, INVALID);
}

const struct device mmu_device = {0x600C5000, mmu_read, mmu_write, mmu_reset};

static u32 register_read(u32 address)
{
    const struct device *device = devices[(address >> 12) & 0xFF];
    if (device != 0 && device->read != 0)
        return device->read(address & 0xFFF);
    return REG(address);
}

static void register_write(u32 address, u32 value)
{
    const struct device *device = devices[(address >> 12) & 0xFF];
    if (device != 0 && device->write != 0)
        device->write(address & 0xFFF, value);
    else
        REG(address) = value;
}

u32 load_slow(u32 address, int size)
{
    if (address >> 20 == 0x600) {
        u32 word = register_read(address & ~3u) >> 8 * (address & 3);
        return size == 1 ? word & 0xFF : size == 2 ? word & 0xFFFF : word;
    }
    if (read_page[address >> 12] != 0) { /* across two pages */
        u32 value = 0;
        for (int i = 0; i < size; i++)
            value |= load(address + (u32)i, 1) << 8 * i;
        return value;
    }
    return 0;
}

void store_slow(u32 address, u32 value, int size)
{
    if (address >> 20 == 0x600) {
        if (size < 4) {
            u32 shift = 8 * (address & 3), mask = (size == 1 ? 0xFFu : 0xFFFFu) << shift;
            value = (REG(address) & ~mask) | (value << shift & mask);
        }
        register_write(address & ~3u, value);
    } else if (write_page[address >> 12] != 0) {
        for (int i = 0; i < size; i++)
            store(address + (u32)i, value >> 8 * i, 1);
    }
}

int copy_in(u32 address, const u8 *data, u32 size)
{
    while (size != 0) {
        u32 room = 4096 - (address & 4095), part = size < room ? size : room;
        u8 *page = write_page[address >> 12];
        if (page == 0)
            return 0;
        memcpy(page + (address & 4095), data, part);
        code_writes[address >> 12 & 127]++;
        address += part, data += part, size -= part;
    }
    return 1;
}

int copy_out(u8 *data, u32 address, u32 size)
{
    while (size != 0) {
        u32 room = 4096 - (address & 4095), part = size < room ? size : room;
        u8 *page = read_page[address >> 12];
        if (page == 0)
            return 0;
        memcpy(data, page + (address & 4095), part);
        address += part, data += part, size -= part;
    }
    return 1;
}
