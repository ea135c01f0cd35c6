/* What mask ROM and second-stage boot loader leave behind: memory loaded, flash mapped, the application entered.
   Neither of the two is executed. ESP-IDF: App Image Format; Partition Tables; the OTA select entry. */
#include "c3.h"

#define TABLE 0x8000u
#define ENTRY 32u
#define MAGIC 0xE9
#define TYPE_APP 0
#define FACTORY 0x00
#define OTA 0x10 /* and the fifteen after it */
#define DATA_OTA 0x00
#define STACK 0x3FCDE000u
#define STATE_INVALID 3
#define STATE_ABORTED 4
#define STATE_NEW 0
#define STATE_PENDING 1

void rom_tell_flash(void);

static u32 word(u32 at) { u32 value; memcpy(&value, flash + at, 4); return value; }

static u32 crc32(u32 crc, const u8 *data, u32 size)
{
    crc = ~crc;
    while (size-- != 0) {
        crc ^= *data++;
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static int is_app(u32 at) { return at != 0 && at < FLASH_SIZE - 0x1000 && flash[at] == MAGIC; }

/* The OTA slot that the newest valid select entry names, with the boot loader's rollback; -1 for none. */
static int selected(u32 at, u32 slots)
{
    u32 best = 0, chosen = 0;
    int slot = -1;
    for (u32 copy = 0; copy < 2; copy++) {
        u32 entry = at + 0x1000 * copy, sequence = word(entry), state = word(entry + 24);
        if (sequence == ~0u || sequence == 0 || crc32(~0u, flash + entry, 4) != word(entry + 28))
            continue;
        if (state == STATE_PENDING) { /* it was tried once and nobody confirmed it */
            u32 aborted = STATE_ABORTED;
            memcpy(flash + entry + 24, &aborted, 4);
            continue;
        }
        if (state == STATE_INVALID || state == STATE_ABORTED || sequence < best)
            continue;
        best = sequence;
        chosen = entry;
        slot = (int)((sequence - 1) % slots);
    }
    if (chosen != 0 && word(chosen + 24) == STATE_NEW) {
        u32 pending = STATE_PENDING;
        memcpy(flash + chosen + 24, &pending, 4);
    }
    return slot;
}

static u32 application(void)
{
    u32 factory = 0, ota[16] = {0}, slots = 0, select = 0;
    for (u32 at = TABLE; at < TABLE + 0xC00 && flash[at] == 0xAA && flash[at + 1] == 0x50; at += ENTRY) {
        u32 type = flash[at + 2], kind = flash[at + 3], offset = word(at + 4);
        if (type == TYPE_APP && kind == FACTORY)
            factory = offset;
        else if (type == TYPE_APP && kind >= OTA && kind < OTA + 16)
            ota[slots++] = offset;
        else if (type == 1 && kind == DATA_OTA)
            select = offset;
    }
    int slot = select != 0 && slots != 0 ? selected(select, slots) : -1;
    if (slot >= 0 && is_app(ota[slot]))
        return ota[slot];
    if (is_app(factory))
        return factory;
    for (u32 i = 0; i < slots; i++)
        if (is_app(ota[i]))
            return ota[i];
    return 0;
}

static void load_segment(u32 address, u32 at, u32 size)
{
    if (address >> 24 == 0x42 || address >> 24 == 0x3C) {
        u32 entry = (address & 0x7FFFFF) >> 16, pages = (size + (address & 0xFFFF) + 0xFFFF) >> 16;
        for (u32 i = 0; i < pages && entry + i < 128; i++)
            mmu_set(entry + i, (at >> 16) + i);
    } else {
        copy_in(address, flash + at, size);
    }
}

void boot(int cause)
{
    reset_wanted = 0;
    if (cause == RESET_POWER_ON)
        rtc_power_on();
    else
        rtc_keep();
    devices_reset();
    radio_reset();
    rtc_cause(cause);
    if (host.radio != 0)
        host.radio(-1, (u32)cause, 0, 0);
    u32 app = application();
    if (app == 0) {
        fault("no application is on the flash: write one (quaver flash)");
        return;
    }
    memory_layout_table();
    rtc_watchdog_begin(9); /* CONFIG_BOOTLOADER_WDT_TIME_MS; the application stops it */
    u32 entry = word(app + 4), at = app + 24;
    for (u32 i = 0; i < flash[app + 1] && at < FLASH_SIZE - 8; i++) {
        u32 address = word(at), size = word(at + 4);
        if (size > FLASH_SIZE - at - 8)
            break;
        load_segment(address, at + 8, size);
        at += 8 + size;
    }
    rom_tell_flash();
    cpu_reset(entry, STACK);
}
