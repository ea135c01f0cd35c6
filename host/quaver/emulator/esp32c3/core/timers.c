/* SYSTIMER, and the two timer groups with their watchdogs. TRM: System Timer; Timer Group. */
#include "c3.h"

/* ---- SYSTIMER: two counters of 16 MHz, three comparators */
#define SYSTIMER 0x60023000u
#define SYSTIMER_TICKS 10 /* of ours, for one of its */

static struct { u64 offset, snapshot; } units[2];
static struct { u64 next; int armed; } targets[3];
static u32 systimer_raw, systimer_enabled;

static u64 unit_now(u32 unit) { return now / SYSTIMER_TICKS + units[unit].offset; }
static u32 target_conf(int i) { return REG(SYSTIMER + 0x34 + 4 * (u32)i); }
static int target_on(int i) { return targets[i].armed && REG(SYSTIMER) >> (24 - i) & 1; }

static void systimer_update(void)
{
    u64 next = NEVER;
    for (int i = 0; i < 3; i++) {
        source_set(SOURCE_SYSTIMER + i, (systimer_raw & systimer_enabled) >> i & 1);
        if (target_on(i)) {
            s64 when = (s64)(targets[i].next - units[target_conf(i) >> 31].offset);
            u64 ticks = when < 0 ? 0 : (u64)when * SYSTIMER_TICKS;
            if (ticks < next)
                next = ticks;
        }
    }
    alarm_set(ALARM_SYSTIMER, next);
}

void systimer_fire(void)
{
    for (int i = 0; i < 3; i++) {
        u32 conf = target_conf(i);
        u64 count = unit_now(conf >> 31);
        if (!target_on(i) || (s64)(count - targets[i].next) < 0)
            continue;
        systimer_raw |= BIT(i);
        if (conf >> 30 & 1) {
            u64 period = conf & 0x3FFFFFF;
            if (period == 0)
                period = 1;
            targets[i].next += period * ((count - targets[i].next) / period + 1);
        } else {
            targets[i].armed = 0;
        }
    }
    systimer_update();
}

static u32 systimer_read(u32 offset)
{
    switch (offset) {
    case 0x04: case 0x08: return BIT(29); /* the snapshot is there at once */
    case 0x40: return (u32)(units[0].snapshot >> 32);
    case 0x44: return (u32)units[0].snapshot;
    case 0x48: return (u32)(units[1].snapshot >> 32);
    case 0x4C: return (u32)units[1].snapshot;
    case 0x64: return systimer_enabled;
    case 0x68: return systimer_raw;
    case 0x70: return systimer_raw & systimer_enabled;
    default: return REG(SYSTIMER + offset);
    }
}

static void systimer_write(u32 offset, u32 value)
{
    u32 before = REG(SYSTIMER + offset);
    REG(SYSTIMER + offset) = value;
    switch (offset) {
    case 0x34: case 0x38: case 0x3C: /* periods begin when they are switched on */
        if (value & ~before & BIT(30)) {
            targets[(offset - 0x34) / 4].next = unit_now(value >> 31) + (value & 0x3FFFFFF);
            targets[(offset - 0x34) / 4].armed = 1;
            systimer_update();
        }
        break;
    case 0x00: systimer_fire(); break;
    case 0x04: if (value >> 30 & 1) units[0].snapshot = unit_now(0); break;
    case 0x08: if (value >> 30 & 1) units[1].snapshot = unit_now(1); break;
    case 0x50: case 0x54: case 0x58: { /* load a comparator */
        int i = (int)(offset - 0x50) / 4;
        u32 conf = target_conf(i), at = SYSTIMER + 0x1C + 8 * (u32)i;
        if (conf >> 30 & 1)
            targets[i].next = unit_now(conf >> 31) + (conf & 0x3FFFFFF);
        else
            targets[i].next = ((u64)REG(at) << 32 | REG(at + 4)) & 0xFFFFFFFFFFFFFull;
        targets[i].armed = 1;
        systimer_fire();
        break;
    }
    case 0x5C: case 0x60: { /* load a counter */
        u32 i = (offset - 0x5C) / 4, at = SYSTIMER + 0x0C + 8 * i;
        units[i].offset = ((u64)REG(at) << 32 | REG(at + 4)) - now / SYSTIMER_TICKS;
        systimer_fire();
        break;
    }
    case 0x64: systimer_enabled = value; systimer_update(); break;
    case 0x6C: systimer_raw &= ~value; systimer_update(); break;
    }
}

static void systimer_reset(void)
{
    memset(targets, 0, sizeof targets);
    systimer_raw = systimer_enabled = 0;
    units[0].offset = units[1].offset = 0 - now / SYSTIMER_TICKS;
    REG(SYSTIMER) = BIT(30) | BIT(29);
}

const struct device systimer_device = {SYSTIMER, systimer_read, systimer_write, systimer_reset};

/* ---- timer groups */
#define GROUP(g) (0x6001F000u + 0x1000u * (u32)(g))
#define T_CONF 0x00
#define T_LOAD_LOW 0x18
#define T_ALARM_LOW 0x10
#define W_CONF 0x48
#define W_PRESCALE 0x4C
#define W_STAGE0 0x50
#define W_PROTECT 0x64
#define W_KEY 0x50D83AA1u
#define CALIBRATION 0x68
#define INT_ENABLE 0x70
#define T_INT BIT(0)
#define W_INT BIT(1)
#define RESET_STAGE_CPU 2
#define RESET_STAGE_SYSTEM 3

static struct {
    u64 since, base, snapshot; /* the counter was `base` at `since` */
    u64 watchdog_since;        /* when its present stage began */
    int stage;
    u32 raw, enabled;
} groups[2];

static u64 timer_ticks(int g) /* of ours, for one count */
{
    u32 conf = REG(GROUP(g)), divider = conf >> 13 & 0xFFFF;
    u64 source = conf >> 9 & 1 ? 4 : 2; /* 40 MHz crystal or 80 MHz APB */
    return source * (divider == 0 ? 65536 : divider == 1 ? 2 : divider);
}

static u64 timer_count(int g)
{
    u32 conf = REG(GROUP(g));
    if (!(conf >> 31))
        return groups[g].base;
    u64 passed = (now - groups[g].since) / timer_ticks(g);
    return (conf >> 30 & 1 ? groups[g].base + passed : groups[g].base - passed) & 0x3FFFFFFFFFFFFFull;
}

static void timer_update(int g)
{
    u32 conf = REG(GROUP(g));
    source_set(SOURCE_TIMER0 + 2 * g, (groups[g].raw & groups[g].enabled & T_INT) != 0);
    source_set(SOURCE_WATCHDOG0 + 2 * g, (groups[g].raw & groups[g].enabled & W_INT) != 0);
    u64 when = NEVER;
    if (conf >> 31 && conf >> 10 & 1) {
        u64 target = (u64)(REG(GROUP(g) + 0x14) & 0x3FFFFF) << 32 | REG(GROUP(g) + T_ALARM_LOW);
        s64 left = (s64)(conf >> 30 & 1 ? target - timer_count(g) : timer_count(g) - target);
        u64 begun = (now - groups[g].since) / timer_ticks(g);
        when = left <= 0 ? now : groups[g].since + (begun + (u64)left) * timer_ticks(g);
    }
    alarm_set(g ? ALARM_TIMER1 : ALARM_TIMER0, when);
}

static void timer_set(int g, u64 count)
{
    groups[g].base = count;
    groups[g].since = now;
}

void timer_fire(int g)
{
    u32 conf = REG(GROUP(g));
    groups[g].raw |= T_INT;
    REG(GROUP(g)) &= ~BIT(10); /* an alarm goes off once */
    if (conf >> 29 & 1)
        timer_set(g, (u64)(REG(GROUP(g) + 0x1C) & 0x3FFFFF) << 32 | REG(GROUP(g) + T_LOAD_LOW));
    timer_update(g);
}

static void watchdog_update(int g)
{
    u32 conf = REG(GROUP(g) + W_CONF), prescale = REG(GROUP(g) + W_PRESCALE) >> 16;
    u64 when = NEVER, source = conf >> 21 & 1 ? 4 : 2;
    if (conf >> 31) {
        u64 period = (u64)REG(GROUP(g) + W_STAGE0 + 4 * (u32)groups[g].stage) * (prescale ? prescale : 1) * source;
        when = groups[g].watchdog_since + period;
    }
    alarm_set(g ? ALARM_WATCHDOG1 : ALARM_WATCHDOG0, when);
}

static void watchdog_feed(int g)
{
    groups[g].watchdog_since = now;
    groups[g].stage = 0;
    watchdog_update(g);
}

void watchdog_fire(int g)
{
    u32 action = REG(GROUP(g) + W_CONF) >> (29 - 2 * groups[g].stage) & 3;
    if (action == RESET_STAGE_SYSTEM) {
        reset_request(g ? RESET_CORE_WATCHDOG1 : RESET_CORE_WATCHDOG0);
        return;
    }
    if (action == RESET_STAGE_CPU) {
        reset_request(g ? RESET_CPU_WATCHDOG1 : RESET_CPU_WATCHDOG0);
        return;
    }
    if (action == 1)
        groups[g].raw |= W_INT;
    groups[g].watchdog_since = now;
    groups[g].stage = (groups[g].stage + 1) & 3;
    timer_update(g);
    watchdog_update(g);
}

static u32 group_read(int g, u32 offset)
{
    switch (offset) {
    case 0x04: return (u32)groups[g].snapshot;
    case 0x08: return (u32)(groups[g].snapshot >> 32);
    case 0x0C: return 0;
    case CALIBRATION: return REG(GROUP(g) + offset) | BIT(15); /* the slow clock's calibration is ready */
    case 0x6C: { /* its result: crystal cycles in so many of the slow clock's */
        u32 conf = REG(GROUP(g) + CALIBRATION), cycles = conf >> 16 & 0x7FFF, clock = conf >> 13 & 3;
        double hertz = clock == 2 ? 32768.0 : clock == 1 ? 17.5e6 / 256 : 136000.0;
        return (u32)(cycles * 40e6 / hertz) << 7;
    }
    case INT_ENABLE: return groups[g].enabled;
    case 0x74: return groups[g].raw;
    case 0x78: return groups[g].raw & groups[g].enabled;
    case 0x80: return 0;
    default: return REG(GROUP(g) + offset);
    }
}

static void group_write(int g, u32 offset, u32 value)
{
    if (offset >= W_CONF && offset < W_PROTECT && REG(GROUP(g) + W_PROTECT) != W_KEY)
        return; /* write-protected */
    if (offset == T_CONF)
        timer_set(g, timer_count(g)); /* what counts so far counts at the old pace */
    REG(GROUP(g) + offset) = value;
    switch (offset) {
    case T_CONF: case T_ALARM_LOW: case 0x14: timer_update(g); break;
    case 0x0C: groups[g].snapshot = timer_count(g); break;
    case 0x20:
        timer_set(g, (u64)(REG(GROUP(g) + 0x1C) & 0x3FFFFF) << 32 | REG(GROUP(g) + T_LOAD_LOW));
        timer_update(g);
        break;
    case W_CONF: case W_PRESCALE: case W_STAGE0: case 0x54: case 0x58: case 0x5C: watchdog_update(g); break;
    case 0x60: watchdog_feed(g); break;
    case INT_ENABLE: groups[g].enabled = value; timer_update(g); break;
    case 0x7C: groups[g].raw &= ~value; timer_update(g); break;
    }
}

static void group_reset(int g)
{
    memset(&groups[g], 0, sizeof groups[g]);
    groups[g].since = groups[g].watchdog_since = now;
    REG(GROUP(g)) = BIT(30) | BIT(29) | BIT(13);
    REG(GROUP(g) + W_PROTECT) = W_KEY;
    REG(GROUP(g) + W_PRESCALE) = BIT(16);
}

static u32 timer0_read(u32 offset) { return group_read(0, offset); }
static u32 timer1_read(u32 offset) { return group_read(1, offset); }
static void timer0_write(u32 offset, u32 value) { group_write(0, offset, value); }
static void timer1_write(u32 offset, u32 value) { group_write(1, offset, value); }
static void timer0_reset(void) { group_reset(0); }
static void timer1_reset(void) { group_reset(1); }

const struct device timer0_device = {0x6001F000, timer0_read, timer0_write, timer0_reset};
const struct device timer1_device = {0x60020000, timer1_read, timer1_write, timer1_reset};

/* The clocks of all this stand still in a light sleep. */
void timers_slept(u64 ticks)
{
    units[0].offset -= ticks / SYSTIMER_TICKS;
    units[1].offset -= ticks / SYSTIMER_TICKS;
    systimer_update();
    for (int g = 0; g < 2; g++) {
        groups[g].since += ticks;
        groups[g].watchdog_since += ticks;
        timer_update(g);
        watchdog_update(g);
    }
}
