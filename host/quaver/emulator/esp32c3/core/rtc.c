/* The low-power side: slow clock, reset causes, retained registers, sleep and wake-up, its watchdog; and what a reset
   does. TRM: Low-Power Management; Reset and Clock. */
#include "c3.h"

#define BASE 0x60008000u
#define SLOW_TICKS 1176 /* of ours for one of the slow RC clock's, which runs at 136 kHz */
#define OPTIONS0 0x00
#define SLEEP_TIMER_LOW 0x04
#define SLEEP_TIMER_HIGH 0x08
#define TIME_UPDATE 0x0C
#define STATE0 0x18
#define RESET_STATE 0x38
#define WAKEUP_STATE 0x3C
#define POWER_DOWN 0x88
#define WATCHDOG 0x90
#define WATCHDOG_PROTECT 0xA8
#define WATCHDOG_KEY 0x50D83AA1u
#define WAKE_CAUSE 0xF8
#define WAKE_GPIO BIT(2)
#define WAKE_TIMER BIT(3)
#define INT_WAKEUP BIT(0)
#define INT_TIMER BIT(10)
#define RETAINED 0x200u /* bytes of registers that outlive all resets but power-on */

int reset_wanted;
u64 light_sleep_ticks, deep_sleep_ticks; /* since power-on, both of them idle too */
u64 woke_at, woke_before; /* when the last deep sleep ended, and the one before */
static u32 raw, enabled;
static u64 snapshot, watchdog_since;
static u32 watchdog_stage;
static u32 kept[RETAINED / 4];

u64 rtc_ticks(void) { return now / SLOW_TICKS; }

void reset_request(int cause)
{
    reset_wanted = cause;
    pause_cpu();
}

void rtc_power_on(void)
{
    memset(kept, 0, sizeof kept);
    memset(rtc_memory, 0, RTC_MEMORY_SIZE);
}

void rtc_cause(int cause) { REG(BASE + RESET_STATE) = (u32)cause; }

static void update(void) { source_set(SOURCE_RTC, (raw & enabled) != 0); }

static void watchdog_update(void)
{
    u32 conf = REG(BASE + WATCHDOG);
    u64 when = NEVER;
    if (conf >> 31 || conf >> 12 & 1)
        when = watchdog_since + (u64)REG(BASE + WATCHDOG + 4 + 4 * watchdog_stage) * SLOW_TICKS * (watchdog_stage ? 1 : 2);
    alarm_set(ALARM_RTC_WATCHDOG, conf >> 31 ? when : NEVER);
}

void rtc_watchdog_expired(void)
{
    switch (REG(BASE + WATCHDOG) >> (28 - 3 * watchdog_stage) & 7) {
    case 2: reset_request(RESET_CPU_RTC_WATCHDOG); return;
    case 3: reset_request(RESET_CORE_RTC_WATCHDOG); return;
    case 4: reset_request(RESET_RTC_WATCHDOG); return;
    }
    watchdog_since = now;
    if (++watchdog_stage < 4)
        watchdog_update();
}

/* As the boot loader leaves it: the whole chip is reset when the application does not stop it in time. */
void rtc_watchdog_begin(u32 seconds)
{
    watchdog_since = now;
    watchdog_stage = 0;
    REG(BASE + WATCHDOG + 4) = seconds * (u32)(1000000u * TICKS_PER_US / SLOW_TICKS) / 2;
    REG(BASE + WATCHDOG) = BIT(31) | 4u << 28;
    watchdog_update();
}

/* Sleep: nothing runs until the timer or a pin ends it. A deep sleep ends with a reset. */
void sleep_begin(void)
{
    u32 causes = REG(BASE + WAKEUP_STATE) >> 15, cause = 0;
    u64 end = NEVER, began = now;
    if (causes & WAKE_TIMER && REG(BASE + SLEEP_TIMER_HIGH) >> 16 & 1)
        end = ((u64)(REG(BASE + SLEEP_TIMER_HIGH) & 0xFFFF) << 32 | REG(BASE + SLEEP_TIMER_LOW)) * SLOW_TICKS;
    alarm_set(ALARM_RTC_WATCHDOG, NEVER);
    if (REG(BASE + POWER_DOWN) >> 31 && host.radio != 0)
        host.radio(-1, RESET_DEEP_SLEEP, 0, 0); /* it has no power from here on, and not only from the reset behind */
    for (;;) {
        if (causes & WAKE_GPIO && sleep_wake_pins() != 0) {
            cause = WAKE_GPIO;
            break;
        }
        if (end != NEVER && now >= end) {
            cause = WAKE_TIMER;
            break;
        }
        /* Of the devices only what drives a pin from outside goes on. */
        u64 pin = host.pin_models != 0 ? host.pin_models() : NEVER, next = pin < end ? pin : end;
        if (next == NEVER) {
            fault("the firmware sleeps with nothing that could wake it: reset the board");
            return;
        }
        now = next > now ? next : now + 1;
    }
    idle_ticks += now - began;
    REG(BASE + WAKE_CAUSE) = cause;
    *(REG(BASE + POWER_DOWN) >> 31 ? &deep_sleep_ticks : &light_sleep_ticks) += now - began;
    if (REG(BASE + POWER_DOWN) >> 31) {
        woke_before = woke_at;
        woke_at = now;
        reset_request(RESET_DEEP_SLEEP);
        return;
    }
    timers_slept(now - began);
    raw |= INT_WAKEUP;
    REG(BASE + STATE0) |= BIT(29); /* woken, not refused */
    update();
    watchdog_update();
}

static u32 rtc_read(u32 offset)
{
    switch (offset) {
    case 0x10: return (u32)snapshot;
    case 0x14: return (u32)(snapshot >> 32);
    case 0x40: return enabled;
    case 0x44: return raw;
    case 0x48: return raw & enabled;
    default: return REG(BASE + offset);
    }
}

static void rtc_write(u32 offset, u32 value)
{
    if (offset >= WATCHDOG && offset <= 0xA4 && REG(BASE + WATCHDOG_PROTECT) != WATCHDOG_KEY)
        return;
    switch (offset) {
    case OPTIONS0:
        REG(BASE) = value & ~(BIT(31) | BIT(5));
        if (value >> 31)
            reset_request(RESET_CORE_SOFTWARE);
        else if (value >> 5 & 1)
            reset_request(RESET_CPU_SOFTWARE);
        return;
    case TIME_UPDATE:
        if (value >> 31)
            snapshot = rtc_ticks();
        return;
    case STATE0:
        REG(BASE + STATE0) = value & ~(BIT(31) | BIT(30) | BIT(29));
        if (value >> 31)
            sleep_begin();
        return;
    case RESET_STATE: REG(BASE + offset) = (REG(BASE + offset) & 63) | (value & ~63u); return;
    case 0x40: enabled = value; update(); return;
    case 0x4C: raw &= ~value; update(); return;
    case 0x100: enabled |= value; update(); return;
    case 0x104: enabled &= ~value; update(); return;
    case 0xA4: watchdog_since = now; watchdog_stage = 0; watchdog_update(); return;
    }
    REG(BASE + offset) = value;
    if (offset >= WATCHDOG && offset < 0xA4)
        watchdog_update();
}

static void rtc_reset(void)
{
    memcpy(&REG(BASE), kept, sizeof kept);
    efuse_reset_registers();
    raw = enabled = 0;
    watchdog_since = now;
    watchdog_stage = 0;
    REG(BASE + WATCHDOG) = 0;
    REG(BASE + WATCHDOG_PROTECT) = 0;
    REG(BASE + POWER_DOWN) &= ~BIT(31);
    alarm_set(ALARM_RTC_WATCHDOG, NEVER);
}

/* Before the registers are lost: what this side keeps. */
void rtc_keep(void) { memcpy(kept, &REG(BASE), sizeof kept); }

const struct device rtc_device = {BASE, rtc_read, rtc_write, rtc_reset};
