/* UART0 (the console) and UART1, and a USB port that nobody is plugged into. TRM: UART Controller.

   Characters arrive at the pace of the line and no faster than the guest makes room. UART0 sends at once, since what
   reads it is no wire; UART1 sends at the pace of the line. */
#include "c3.h"

#define BASE(n) (0x60000000u + 0x10000u * (u32)(n))
#define FIFO 128
#define QUEUE 65536u
#define RX_FULL BIT(0)
#define TX_EMPTY BIT(1)
#define RX_TIMEOUT BIT(8)
#define TX_DONE BIT(14)
#define SILENCE 3.5 /* characters after which a message is over: Modbus over serial line V1.02, 2.5.1.1 */
#define LOOPBACK BIT(14)

static struct {
    u8 queue[QUEUE]; /* on its way to the guest */
    u32 queued_in, queued_out;
    u8 fifo[FIFO];
    u32 head, count;
    u8 sent[4096]; /* by the guest since the line was last silent */
    u32 sent_count;
    u64 sent_until;
    u32 raw, enabled;
    int coming;
} uarts[2];
static int direction = -1; /* the pin of a transceiver that UART1 is turned by: high, it sends and hears nothing */

static u32 character_bits(int n)
{
    u32 conf = REG(BASE(n) + 0x20);
    return 1 + 5 + (conf >> 2 & 3) + (conf >> 1 & 1) + ((conf >> 4 & 3) == 3 ? 2 : 1);
}

static u64 character_ticks(int n)
{
    u32 clock = REG(BASE(n) + 0x78), divider = REG(BASE(n) + 0x14), conf = REG(BASE(n) + 0x20);
    double hertz = (clock >> 20 & 3) == 3 ? 40e6 : (clock >> 20 & 3) == 2 ? 17.5e6 : 80e6;
    double ratio = (divider & 0xFFF) + (divider >> 20 & 15) / 16.0;
    hertz /= (clock >> 12 & 0xFF) + 1;
    if (ratio < 1 || conf == 0)
        return 13889; /* 115,200 baud */
    return (u64)(character_bits(n) * ratio * 160e6 / hertz);
}

u32 uart_baud(int n) { return (u32)(160e6 * character_bits(n) / (double)character_ticks(n) + 0.5); }

/* 0 for none, 2 for even, 3 for odd. */
u32 uart_parity(int n) { return REG(BASE(n) + 0x20) & BIT(1) ? 2 | (REG(BASE(n) + 0x20) & BIT(0)) : 0; }

static int turned(int n) { return n == 1 && direction >= 0 && pin_level(direction); }

static void update(int n)
{
    u32 threshold = REG(BASE(n) + 0x24) & 0x1FF;
    if (uarts[n].count >= (threshold ? threshold : 1))
        uarts[n].raw |= RX_FULL;
    if (uarts[n].sent_until <= now)
        uarts[n].raw |= TX_EMPTY;
    source_set(SOURCE_UART0 + n, (uarts[n].raw & uarts[n].enabled) != 0);
}

static void plan(int n)
{
    int waiting = uarts[n].queued_in != uarts[n].queued_out;
    if (waiting && !uarts[n].coming)
        alarm_set(n ? ALARM_UART1_IN : ALARM_UART0_IN, now + character_ticks(n));
    uarts[n].coming = waiting;
}

/* A character has arrived, or the line has been silent for two. */
void uart_in_fire(int n)
{
    uarts[n].coming = 0;
    if (uarts[n].queued_in == uarts[n].queued_out) {
        if (uarts[n].count != 0)
            uarts[n].raw |= RX_TIMEOUT;
        update(n);
        return;
    }
    if (turned(n))
        uarts[n].queued_out++;
    else if (uarts[n].count < FIFO) {
        uarts[n].fifo[(uarts[n].head + uarts[n].count++) % FIFO] = uarts[n].queue[uarts[n].queued_out++ % QUEUE];
        update(n);
    }
    plan(n);
    if (!uarts[n].coming)
        alarm_set(n ? ALARM_UART1_IN : ALARM_UART0_IN, now + 2 * character_ticks(n));
}

void uart_receive(int n, const u8 *data, u32 count)
{
    for (u32 i = 0; i < count && uart_room(n) != 0; i++)
        uarts[n].queue[uarts[n].queued_in++ % QUEUE] = data[i];
    plan(n);
}

u32 uart_room(int n) { return QUEUE - (uarts[n].queued_in - uarts[n].queued_out); }

static void message_over(int n)
{
    u32 count = uarts[n].sent_count;
    uarts[n].sent_count = 0;
    if (count != 0 && host.uart != 0)
        host.uart(n, uarts[n].sent, count);
}

void uart_out_fire(int n)
{
    if (uarts[n].raw & TX_DONE)
        message_over(n);
    else if (uarts[n].sent_until <= now) {
        uarts[n].raw |= TX_DONE;
        alarm_set(n ? ALARM_UART1_OUT : ALARM_UART0_OUT, now + (u64)(SILENCE * (double)character_ticks(n)));
    } else
        alarm_set(n ? ALARM_UART1_OUT : ALARM_UART0_OUT, uarts[n].sent_until);
    update(n);
}

static void transmit(int n, u8 value)
{
    if (n == 0) {
        console_out(value);
        uarts[0].raw |= TX_DONE;
        update(0);
        return;
    }
    if (REG(BASE(n) + 0x20) & LOOPBACK) {
        uart_receive(n, &value, 1);
        return;
    }
    int heard = direction < 0 || turned(n);
    if (heard && uarts[n].sent_count < sizeof uarts[n].sent)
        uarts[n].sent[uarts[n].sent_count++] = value;
    uarts[n].sent_until = (uarts[n].sent_until > now ? uarts[n].sent_until : now) + character_ticks(n);
    uarts[n].raw &= ~(TX_EMPTY | TX_DONE);
    alarm_set(ALARM_UART1_OUT, uarts[n].sent_until);
}

void uart_direct(int pin) { direction = pin; }

/* A pin's level has changed: who lets go of the line while a message is on it tears the message. */
void uart_turn(int pin, int level)
{
    if (pin == direction && !level && uarts[1].sent_until > now)
        uarts[1].sent_count = 0;
}

static u32 sending(int n) /* characters that wait to be sent */
{
    if (uarts[n].sent_until <= now)
        return 0;
    u64 left = (uarts[n].sent_until - now + character_ticks(n) - 1) / character_ticks(n);
    return left > FIFO ? FIFO : (u32)left;
}

static u32 uart_read(int n, u32 offset)
{
    switch (offset) {
    case 0x00: {
        if (uarts[n].count == 0)
            return 0;
        u8 value = uarts[n].fifo[uarts[n].head];
        uarts[n].head = (uarts[n].head + 1) % FIFO;
        if (--uarts[n].count == 0)
            uarts[n].raw &= ~(RX_FULL | RX_TIMEOUT);
        update(n);
        return value;
    }
    case 0x04: return uarts[n].raw;
    case 0x08: return uarts[n].raw & uarts[n].enabled;
    case 0x0C: return uarts[n].enabled;
    case 0x1C: return uarts[n].count | sending(n) << 16 | BIT(15) | BIT(31);
    case 0x6C: return sending(n) ? 1u << 4 : 0; /* the transmitter's state: not idle */
    case 0x80: return REG(BASE(n) + offset) & ~BIT(31); /* registers are taken over at once */
    default: return REG(BASE(n) + offset);
    }
}

static void uart_write(int n, u32 offset, u32 value)
{
    switch (offset) {
    case 0x00: transmit(n, (u8)value); return;
    case 0x0C: uarts[n].enabled = value; update(n); return;
    case 0x10: uarts[n].raw &= ~value; update(n); return;
    case 0x20:
        if (value & BIT(17)) /* empty the receiver */
            uarts[n].count = 0;
        break;
    }
    REG(BASE(n) + offset) = value;
    if (offset == 0x24)
        update(n);
}

static void uart_reset(int n)
{
    uarts[n].raw = TX_EMPTY;
    uarts[n].enabled = 0;
    uarts[n].count = uarts[n].sent_count = 0;
    uarts[n].sent_until = 0;
    uarts[n].coming = 0;
    if (n == 1)
        uarts[n].queued_out = uarts[n].queued_in; /* what was on the wire is lost */
    REG(BASE(n) + 0x20) = 0x1C;
    REG(BASE(n) + 0x24) = 0x60;
    plan(n);
}

static u32 uart0_read(u32 offset) { return uart_read(0, offset); }
static u32 uart1_read(u32 offset) { return uart_read(1, offset); }
static void uart0_write(u32 offset, u32 value) { uart_write(0, offset, value); }
static void uart1_write(u32 offset, u32 value) { uart_write(1, offset, value); }
static void uart0_reset(void) { uart_reset(0); }
static void uart1_reset(void) { uart_reset(1); }

const struct device uart0_device = {0x60000000, uart0_read, uart0_write, uart0_reset};
const struct device uart1_device = {0x60010000, uart1_read, uart1_write, uart1_reset};

/* USB serial/JTAG: unplugged, so that its frame number stands still; it takes what is written. */
static u32 usb_raw, usb_enabled;

static void usb_update(void) { source_set(SOURCE_USB, (usb_raw & usb_enabled) != 0); }

static u32 usb_read(u32 offset)
{
    switch (offset) {
    case 0x00: return 0;
    case 0x04: return BIT(1); /* room for what is written */
    case 0x08: return usb_raw;
    case 0x0C: return usb_raw & usb_enabled;
    case 0x10: return usb_enabled;
    case 0x20: return 0;
    default: return REG(0x60043000 + offset);
    }
}

static void usb_write(u32 offset, u32 value)
{
    if (offset == 0x10)
        usb_enabled = value;
    else if (offset == 0x14)
        usb_raw &= ~value;
    else
        REG(0x60043000 + offset) = value;
    usb_update();
}

static void usb_reset(void) { usb_raw = BIT(3), usb_enabled = 0; }

const struct device usb_device = {0x60043000, usb_read, usb_write, usb_reset};
