/* The interrupt matrix, and the alarms of the devices. TRM: Interrupt Matrix. */
#include "c3.h"

#define BASE 0x600C2000u
#define ENABLE 0x104
#define PRIORITY 0x114 /* of line 0; four bytes a line */
#define THRESHOLD 0x194
#define SOURCES 62

u64 now, run_limit;
u32 tick_cost = 1;
static u64 asserted;
static u64 alarms[ALARMS];
int interrupts_changed;

static void radio_fire(void) {} /* what is due is looked at when the guest next waits */
static void uart0_in(void) { uart_in_fire(0); }
static void uart1_in(void) { uart_in_fire(1); }
static void uart0_out(void) { uart_out_fire(0); }
static void uart1_out(void) { uart_out_fire(1); }
static void timer0(void) { timer_fire(0); }
static void timer1(void) { timer_fire(1); }
static void watchdog0(void) { watchdog_fire(0); }
static void watchdog1(void) { watchdog_fire(1); }
static void pin_models(void) { alarm_set(ALARM_PIN_MODEL, host.pin_models != 0 ? host.pin_models() : NEVER); }

static void (*const fires[ALARMS])(void) = {
    [ALARM_SYSTIMER] = systimer_fire, [ALARM_TIMER0] = timer0, [ALARM_TIMER1] = timer1,
    [ALARM_WATCHDOG0] = watchdog0, [ALARM_WATCHDOG1] = watchdog1, [ALARM_RTC_WATCHDOG] = rtc_watchdog_expired,
    [ALARM_UART0_IN] = uart0_in, [ALARM_UART1_IN] = uart1_in, [ALARM_UART0_OUT] = uart0_out,
    [ALARM_UART1_OUT] = uart1_out, [ALARM_I2C] = i2c_fire, [ALARM_SPI] = spi2_fire,
    [ALARM_PIN_MODEL] = pin_models, [ALARM_RADIO] = radio_fire, [ALARM_ADC] = adc_fire};

void alarm_set(enum alarm which, u64 when)
{
    alarms[which] = when;
    if (when < run_limit)
        run_limit = when;
}

u64 alarm_next(void)
{
    u64 next = NEVER;
    for (int i = 0; i < ALARMS; i++)
        if (alarms[i] < next)
            next = alarms[i];
    return next;
}

void alarms_fire(void)
{
    for (int i = 0; i < ALARMS; i++)
        if (alarms[i] <= now) {
            alarms[i] = NEVER;
            fires[i]();
        }
}

void source_set(int source, int level)
{
    u64 before = asserted;
    asserted = level ? asserted | 1ull << source : asserted & ~(1ull << source);
    if (asserted != before) {
        interrupts_changed = 1;
        pause_cpu();
    }
}

static u32 pending_lines(void)
{
    u32 lines = 0;
    for (u64 left = asserted; left != 0; left &= left - 1)
        lines |= BIT(REG(BASE + 4 * (u32)__builtin_ctzll(left)) & 31);
    return lines & ~1u; /* line 0 leads nowhere */
}

int interrupt_pending(void)
{
    u32 lines = pending_lines() & REG(BASE + ENABLE), threshold = REG(BASE + THRESHOLD) & 15, best = 0;
    int line = 0;
    for (; lines != 0; lines &= lines - 1) {
        int one = __builtin_ctz(lines);
        u32 priority = REG(BASE + PRIORITY + 4 * (u32)one) & 15;
        if (priority >= threshold && priority > best)
            best = priority, line = one;
    }
    return line;
}

static u32 matrix_read(u32 offset)
{
    switch (offset) {
    case 0xF8: return (u32)asserted;
    case 0xFC: return (u32)(asserted >> 32);
    case 0x110: return pending_lines();
    default: return REG(BASE + offset);
    }
}

static void matrix_write(u32 offset, u32 value)
{
    REG(BASE + offset) = value;
    interrupts_changed = 1;
    pause_cpu();
}

static void matrix_reset(void)
{
    asserted = 0;
    for (int i = 0; i < ALARMS; i++)
        if (i != ALARM_PIN_MODEL && i != ALARM_RTC_WATCHDOG)
            alarms[i] = NEVER;
    interrupts_changed = 1;
}

const struct device interrupt_device = {BASE, matrix_read, matrix_write, matrix_reset};
