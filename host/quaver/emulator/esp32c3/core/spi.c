/* SPI2 as controller, through its buffer or by DMA, and the general DMA (GDMA). TRM: SPI Controller; GDMA Controller.

   Pins are whatever the firmware routes; a model hears the bytes while its chip select is low. */
#include "c3.h"

#define SPI2 0x60024000u
#define DONE BIT(12)
#define LARGEST 32768u

static u32 spi_raw, spi_enabled;
static u8 outgoing[LARGEST], incoming[LARGEST];

static void spi_update(void) { source_set(SOURCE_SPI2, (spi_raw & spi_enabled) != 0); }

static double byte_ns(void)
{
    u32 clock = REG(SPI2 + 0x0C);
    double divider = clock >> 31 ? 1 : ((clock >> 18 & 15) + 1) * ((clock >> 12 & 63) + 1);
    return 8 * divider * 1e9 / 80e6;
}

static void transfer(void)
{
    u32 user = REG(SPI2 + 0x10), dma = REG(SPI2 + 0x30), count = ((REG(SPI2 + 0x1C) & 0x3FFFF) + 8) / 8;
    int sends = user >> 27 & 1, receives = user >> 28 & 1;
    if (count > LARGEST)
        count = LARGEST;
    memset(outgoing, 0, count);
    memset(incoming, 0xFF, count);
    if (sends && dma >> 28 & 1)
        dma_take(DMA_SPI2, outgoing, count);
    else if (sends)
        memcpy(outgoing, &REG(SPI2 + 0x98), count < 64 ? count : 64);
    if (host.spi != 0)
        host.spi(outgoing, incoming, count, byte_ns());
    if (receives && dma >> 27 & 1)
        dma_give(DMA_SPI2, incoming, count);
    else if (receives)
        memcpy(&REG(SPI2 + 0x98), incoming, count < 64 ? count : 64);
    alarm_set(ALARM_SPI, now + (u64)(count * byte_ns() * 0.16));
    REG(SPI2) |= BIT(24);
}

void spi2_fire(void)
{
    REG(SPI2) &= ~BIT(24);
    spi_raw |= DONE;
    spi_update();
}

static u32 spi_read(u32 offset)
{
    switch (offset) {
    case 0x34: return spi_enabled;
    case 0x3C: return spi_raw;
    case 0x40: return spi_raw & spi_enabled;
    default: return REG(SPI2 + offset);
    }
}

static void spi_write(u32 offset, u32 value)
{
    switch (offset) {
    case 0x00:
        if (value >> 24 & 1)
            transfer();
        return;
    case 0x34: spi_enabled = value; break;
    case 0x38: spi_raw &= ~value; break;
    case 0x3C: spi_raw = value; break;
    case 0x44: spi_raw |= value; break;
    default: REG(SPI2 + offset) = value; return;
    }
    spi_update();
}

static void spi_reset(void) { spi_raw = spi_enabled = 0; }

const struct device spi2_device = {SPI2, spi_read, spi_write, spi_reset};

/* ---- GDMA: three channels, each a list of descriptors in and one out */
#define DMA 0x6003F000u
#define CHANNEL(c) (DMA + 0xC0u * (u32)(c))
#define IN_LINK 0x80
#define IN_END 0x88
#define IN_PERIPHERAL 0xA0
#define OUT_LINK 0xE0
#define OUT_END 0xE8
#define OUT_PERIPHERAL 0x100
#define OWNED BIT(31) /* of a descriptor's first word: the DMA's */
#define END_OF_FRAME BIT(30)
enum { IN_DONE = BIT(0), IN_END_OF_FRAME = BIT(1), OUT_DONE = BIT(3), OUT_END_OF_FRAME = BIT(4), OUT_ALL = BIT(8) };

static struct { u32 raw, enabled; int out_started, in_started; } channels[3];

static void dma_update(void)
{
    for (int c = 0; c < 3; c++)
        source_set(SOURCE_DMA + c, (channels[c].raw & channels[c].enabled) != 0);
}

u32 dma_take(u32 peripheral, u8 *data, u32 capacity)
{
    for (int c = 0; c < 3; c++) {
        u32 at = 0x3FC00000 | (REG(CHANNEL(c) + OUT_LINK) & 0xFFFFF), taken = 0, last = at;
        if (!channels[c].out_started || (REG(CHANNEL(c) + OUT_PERIPHERAL) & 63) != peripheral)
            continue;
        while ((at & 0xFFFFF) != 0 && taken < capacity) {
            u32 word = load(at, 4), length = word >> 12 & 0xFFF;
            if (length > capacity - taken)
                length = capacity - taken;
            copy_out(data + taken, load(at + 4, 4), length);
            taken += length;
            store(at, word & ~OWNED, 4);
            last = at;
            if (word & END_OF_FRAME)
                break;
            at = load(at + 8, 4);
        }
        REG(CHANNEL(c) + OUT_END) = last;
        channels[c].out_started = 0;
        channels[c].raw |= OUT_DONE | OUT_END_OF_FRAME | OUT_ALL;
        dma_update();
        return taken;
    }
    return 0;
}

u32 dma_give(u32 peripheral, const u8 *data, u32 count)
{
    for (int c = 0; c < 3; c++) {
        u32 at = 0x3FC00000 | (REG(CHANNEL(c) + IN_LINK) & 0xFFFFF), given = 0, last = at;
        if (!channels[c].in_started || (REG(CHANNEL(c) + IN_PERIPHERAL) & 63) != peripheral)
            continue;
        while ((at & 0xFFFFF) != 0 && given < count) {
            u32 word = load(at, 4), part = word & 0xFFF;
            if (part > count - given)
                part = count - given;
            copy_in(load(at + 4, 4), data + given, part);
            given += part;
            store(at, (word & 0xFFF) | part << 12 | (given >= count ? END_OF_FRAME : 0), 4);
            last = at;
            at = load(at + 8, 4);
        }
        REG(CHANNEL(c) + IN_END) = last;
        channels[c].in_started = 0;
        channels[c].raw |= IN_DONE | IN_END_OF_FRAME;
        dma_update();
        return given;
    }
    return 0;
}

static u32 dma_read(u32 offset)
{
    if (offset < 0x30)
        switch (offset & 15) {
        case 0: return channels[offset >> 4].raw;
        case 4: return channels[offset >> 4].raw & channels[offset >> 4].enabled;
        case 8: return channels[offset >> 4].enabled;
        default: return 0;
        }
    return REG(DMA + offset);
}

static void dma_write(u32 offset, u32 value)
{
    if (offset < 0x30) {
        if ((offset & 15) == 8)
            channels[offset >> 4].enabled = value;
        else if ((offset & 15) == 12)
            channels[offset >> 4].raw &= ~value;
        dma_update();
        return;
    }
    REG(DMA + offset) = value;
    for (u32 c = 0; c < 3; c++) {
        if (offset == 0xC0 * c + OUT_LINK && value >> 20 & 7)
            channels[c].out_started = (value >> 21 & 3) != 0; /* start or restart, else stop */
        if (offset == 0xC0 * c + IN_LINK && value >> 21 & 7)
            channels[c].in_started = (value >> 22 & 3) != 0;
    }
}

static void dma_reset(void)
{
    memset(channels, 0, sizeof channels);
    for (int c = 0; c < 3; c++)
        REG(CHANNEL(c) + IN_PERIPHERAL) = REG(CHANNEL(c) + OUT_PERIPHERAL) = 63;
}

const struct device dma_device = {DMA, dma_read, dma_write, dma_reset};
