/* The small ones: clocks and software interrupts, cache control, eFuse, random numbers, ADC, LEDC, and the analogue
   parts whose state bits firmware waits for. TRM: System Registers; eFuse Controller; On-Chip Sensors; LED PWM. */
#include "c3.h"

u32 cpu_mhz = 160;

/* ---- system: CPU clock, interrupts that the CPU gives itself */
#define SYSTEM 0x600C0000u

static u32 system_read(u32 offset)
{
    return REG(SYSTEM + offset) | (offset == 0x48 ? BIT(31) : 0); /* the checksum of retained memory is made */
}

static void system_write(u32 offset, u32 value)
{
    REG(SYSTEM + offset) = value;
    if (offset >= 0x28 && offset < 0x38)
        source_set(SOURCE_FROM_CPU + (int)(offset - 0x28) / 4, value & 1);
    if (offset == 0x08 || offset == 0x58) { /* CPU_PER_CONF, SYSCLK_CONF */
        u32 source = REG(SYSTEM + 0x58) >> 10 & 3, divider = (REG(SYSTEM + 0x58) & 0x3FF) + 1;
        u32 mhz = source == 0 ? 40 / divider : source == 1 ? (REG(SYSTEM + 8) & 3 ? 160 : 80) : 17 / divider;
        cpu_mhz = mhz ? mhz : 1;
        tick_cost = 160 / cpu_mhz;
    }
}

static void system_reset(void)
{
    REG(SYSTEM + 0x08) = 0x1D; /* PLL of 480 MHz, CPU at 160 MHz: what the boot loader leaves */
    REG(SYSTEM + 0x58) = 1 << 10;
    cpu_mhz = 160;
    tick_cost = 1;
}

const struct device system_device = {SYSTEM, system_read, system_write, system_reset};

/* ---- cache: every operation is done at once */
static u32 cache_read(u32 offset)
{
    u32 value = REG(0x600C4000 + offset);
    switch (offset) {
    case 0x1C: return value | BIT(2);
    case 0x28: case 0x34: return value | BIT(1);
    case 0x40: return value | BIT(3);
    case 0xB0: return value | BIT(0);
    case 0xCC: return value & BIT(0) ? value | BIT(2) : value & ~BIT(2); /* frozen when asked to be */
    default: return value;
    }
}

const struct device cache_device = {0x600C4000, cache_read, 0, 0};

/* ---- eFuse: chip revision and address; the host fills it in before the start */
#define EFUSE 0x60008800u
u32 efuse_mac_low, efuse_mac_high;

/* It shares its page with the low-power side, so that device serves both: see `rtc_device`. */
void efuse_reset_registers(void)
{
    REG(EFUSE + 0x44) = efuse_mac_low;
    REG(EFUSE + 0x48) = efuse_mac_high;
    REG(EFUSE + 0x50) = 0x00100000; /* revision 0.4 */
    REG(EFUSE + 0x6C) = 1;          /* block 2 is of version 1: with calibration of the ADC, here without a deviation */
}

/* ---- random numbers: xorshift64*, seeded by the host */
u64 random_state = 88172645463325252ull;

static u32 rng_read(u32 offset)
{
    if (offset != 0xB0)
        return REG(0x60026000 + offset);
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (u32)(random_state * 2685821657736338717ull >> 32);
}

const struct device rng_device = {0x60026000, rng_read, 0, 0};

/* ---- ADC: one-shot conversions of what the host put on the pins */
#define ADC 0x60040000u
u32 adc_values[6] = {0x800, 0x800, 0x800, 0x800, 0x800, 0x800}; /* of 4096 */
static u32 adc_raw, adc_enabled;

static void adc_update(void) { source_set(SOURCE_ADC, (adc_raw & adc_enabled) != 0); }

void adc_fire(void)
{
    adc_raw |= BIT(31);
    adc_update();
}

static u32 adc_read(u32 offset)
{
    u32 channel = REG(ADC + 0x20) >> 25 & 15;
    switch (offset) {
    case 0x2C: return channel < 5 ? adc_values[channel] : 0;
    case 0x30: return adc_values[5];
    case 0x40: return adc_enabled;
    case 0x44: return adc_raw | BIT(31) | BIT(30);
    case 0x48: return adc_raw & adc_enabled;
    default: return REG(ADC + offset);
    }
}

static void adc_write(u32 offset, u32 value)
{
    REG(ADC + offset) = value;
    switch (offset) {
    case 0x20:
        if (value >> 29 & 1)
            alarm_set(ALARM_ADC, now + 20 * TICKS_PER_US);
        break;
    case 0x40: adc_enabled = value; adc_update(); break;
    case 0x4C: adc_raw &= ~value; adc_update(); break;
    }
}

static void adc_reset(void) { adc_raw = adc_enabled = 0; }

const struct device adc_device = {ADC, adc_read, adc_write, adc_reset};

/* ---- LEDC: duties and frequencies as they are set; a change of duty is done at once */
#define LEDC 0x60019000u
static u32 ledc_raw;

static u32 ledc_read(u32 offset)
{
    if (offset < 0x78 && offset % 20 == 16) /* the duty now */
        return REG(LEDC + offset - 8);
    if (offset == 0xC0)
        return ledc_raw;
    if (offset == 0xC4)
        return ledc_raw & REG(LEDC + 0xC8);
    return REG(LEDC + offset);
}

static void ledc_update(void) { source_set(SOURCE_LEDC, (ledc_raw & REG(LEDC + 0xC8)) != 0); }

static void ledc_write(u32 offset, u32 value)
{
    if (offset == 0xCC)
        ledc_raw &= ~value;
    else
        REG(LEDC + offset) = value;
    if (offset < 0x78 && offset % 20 == 12 && value >> 31) { /* take over the duty */
        ledc_raw |= BIT(4 + offset / 20);
        REG(LEDC + offset) &= ~BIT(31);
    }
    ledc_update();
}

const struct device ledc_device = {LEDC, ledc_read, ledc_write, 0};

/* ---- analogue: power domains are up, calibrations done, transfers over */
static u32 bus_read(u32 offset)
{
    u32 value = REG(0x6000E000 + offset);
    switch (offset) {
    case 0x00: return value & ~BIT(25);
    case 0x4C: return value | BIT(24);
    case 0x50: return value | 7u << 24;
    default: return value;
    }
}

static u32 front_end_read(u32 offset) { return REG(0x60006000 + offset) | (offset == 0x174 ? BIT(16) : 0); }
static u32 power_read(u32 offset) { return REG(0x60033000 + offset) | (offset == 0xD14 ? 1 : 0); }

static u32 clock_read(u32 offset) /* the Bluetooth controller's clock: 312.5 us, and the half-us to the next */
{
    if (offset == 0x1C)
        return (u32)(now / 50000) & 0xFFFFFFF;
    if (offset == 0x20)
        return 624 - (u32)(now / 80 % 625);
    return REG(0x60031000 + offset);
}

const struct device bus_device = {0x6000E000, bus_read, 0, 0};
const struct device front_end_device = {0x60006000, front_end_read, 0, 0};
const struct device power_device = {0x60033000, power_read, 0, 0};
const struct device clock_device = {0x60031000, clock_read, 0, 0};
