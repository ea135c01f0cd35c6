/* GPIO: levels, interrupts, and the pads' pulls. TRM: IO MUX and GPIO Matrix. */
#include "c3.h"

#define BASE 0x60004000u
#define IO_MUX 0x60009000u
#define PINS 22
#define OUT 0x04
#define ENABLE 0x20
#define STATUS 0x44
#define PIN 0x74
#define FUNCTION_OUT 0x554
#define PULL_UP BIT(8)
#define PULL_DOWN BIT(7)
#define SIMPLE_OUTPUT 128 /* of a pin's output function: what GPIO_OUT says */

u32 watched_pins; /* whose output the host wants to hear of */
static u32 driven, driven_high; /* from outside */
static u32 levels;

/* The level on a pin: its own output, else what drives it, else its pull, else low. */
static u32 level_of(u32 pin)
{
    u32 bit = BIT(pin);
    if (REG(BASE + ENABLE) & bit && (REG(BASE + FUNCTION_OUT + 4 * pin) & 0xFF) >= SIMPLE_OUTPUT) {
        int open_drain = REG(BASE + PIN + 4 * pin) >> 2 & 1;
        if (!(REG(BASE + OUT) & bit))
            return 0;
        if (!open_drain)
            return 1;
    }
    if (driven & bit)
        return (driven_high & bit) != 0;
    return (REG(IO_MUX + 4 + 4 * pin) & PULL_UP) != 0;
}

int pin_level(int number) { return (int)level_of((u32)number); }

static void interrupts(void)
{
    int any = 0;
    for (u32 pin = 0; pin < PINS; pin++)
        if (REG(BASE + STATUS) >> pin & 1 && REG(BASE + PIN + 4 * pin) >> 13 & 1)
            any = 1;
    source_set(SOURCE_GPIO, any);
}

static void refresh(void)
{
    u32 before = levels, fresh = 0;
    for (u32 pin = 0; pin < PINS; pin++)
        fresh |= level_of(pin) << pin;
    levels = fresh;
    for (u32 pin = 0; pin < PINS; pin++) {
        u32 is = fresh >> pin & 1, was = before >> pin & 1;
        switch (REG(BASE + PIN + 4 * pin) >> 7 & 7) { /* what it interrupts at */
        case 1: if (is && !was) REG(BASE + STATUS) |= BIT(pin); break;
        case 2: if (!is && was) REG(BASE + STATUS) |= BIT(pin); break;
        case 3: if (is != was) REG(BASE + STATUS) |= BIT(pin); break;
        case 4: if (!is) REG(BASE + STATUS) |= BIT(pin); break;
        case 5: if (is) REG(BASE + STATUS) |= BIT(pin); break;
        }
        if (is != was)
            uart_turn((int)pin, (int)is);
        if (is != was && watched_pins >> pin & 1 && host.pin != 0)
            host.pin((int)pin, (int)is);
    }
    interrupts();
}

void pin_input(int number, int level)
{
    driven |= BIT(number);
    driven_high = level ? driven_high | BIT(number) : driven_high & ~BIT(number);
    refresh();
}

static u32 pin_wakes(u32 pin, u32 kind) { return (kind == 4 && !level_of(pin)) || (kind == 5 && level_of(pin)); }

/* The pins whose level ends a sleep now: as the digital GPIOs are set for light sleep, and the RTC's for a deep one. */
u64 sleep_wake_pins(void)
{
    u32 found = 0, deep = REG(0x60008110);
    for (u32 pin = 0; pin < PINS; pin++) {
        u32 conf = REG(BASE + PIN + 4 * pin);
        if (conf >> 10 & 1 && pin_wakes(pin, conf >> 7 & 7))
            found |= BIT(pin);
    }
    for (u32 pin = 0; pin < 6; pin++)
        if (deep >> (31 - pin) & 1 && pin_wakes(pin, deep >> (23 - 3 * pin) & 7))
            found |= BIT(pin);
    return found;
}

static u32 gpio_read(u32 offset)
{
    switch (offset) {
    case 0x38: return 8; /* strapping: boots from flash */
    case 0x3C: return levels;
    case 0x5C: {
        u32 active = 0;
        for (u32 pin = 0; pin < PINS; pin++)
            active |= (REG(BASE + STATUS) >> pin & REG(BASE + PIN + 4 * pin) >> 13 & 1) << pin;
        return active;
    }
    default: return REG(BASE + offset);
    }
}

static void gpio_write(u32 offset, u32 value)
{
    switch (offset) {
    case 0x08: REG(BASE + OUT) |= value; break;
    case 0x0C: REG(BASE + OUT) &= ~value; break;
    case 0x24: REG(BASE + ENABLE) |= value; break;
    case 0x28: REG(BASE + ENABLE) &= ~value; break;
    case 0x48: REG(BASE + STATUS) |= value; break;
    case 0x4C: REG(BASE + STATUS) &= ~value; break;
    default: REG(BASE + offset) = value;
    }
    refresh();
}

static void gpio_reset(void)
{
    for (u32 pin = 0; pin < PINS; pin++)
        REG(BASE + FUNCTION_OUT + 4 * pin) = SIMPLE_OUTPUT;
    refresh();
}

const struct device gpio_device = {BASE, gpio_read, gpio_write, gpio_reset};

static void pads_write(u32 offset, u32 value)
{
    REG(IO_MUX + offset) = value;
    refresh(); /* a pull may have changed */
}

const struct device pads_device = {IO_MUX, 0, pads_write, 0};
