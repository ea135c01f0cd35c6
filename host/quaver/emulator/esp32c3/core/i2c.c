/* The I2C controller as its command list has it, with the time that the wire takes. TRM: I2C Controller. */
#include "c3.h"

#define BASE 0x60013000u
#define COMMAND 0x58
#define DONE BIT(31)
#define FIFO 32
enum { OP_WRITE = 1, OP_STOP = 2, OP_READ = 3, OP_END = 4, OP_START = 6 };
enum { INT_END = BIT(3), INT_COMPLETE = BIT(7), INT_NACK = BIT(10) };

static u8 to_send[FIFO], received[FIFO];
static u32 send_in, send_out, receive_in, receive_out;
static u32 raw, enabled, pending; /* pending: what to raise when the wire is done */
static int addressing, present;

static void update(void) { source_set(SOURCE_I2C, (raw & enabled) != 0); }

static int model(int verb, u8 *data, u32 count) { return host.i2c != 0 && host.i2c(verb, data, count); }

static u64 bit_ticks(void)
{
    u32 conf = REG(BASE + 0x54), low = REG(BASE) & 0x1FF, high = (REG(BASE + 0x38) & 0x1FF) + (REG(BASE + 0x38) >> 9 & 0x7F);
    u64 source = conf >> 20 & 1 ? 9 : 4; /* 17.5 MHz, or the crystal's 40 MHz */
    return source * ((conf & 0xFF) + 1) * (low + high + 2);
}

static void finish(u32 interrupt, u64 bits)
{
    pending |= interrupt;
    if (interrupt != INT_END)
        send_in = send_out = 0;
    alarm_set(ALARM_I2C, now + bits * bit_ticks());
}

void i2c_fire(void)
{
    raw |= pending;
    pending = 0;
    update();
}

/* One byte after a start addresses a device; the others are for it. */
static int write_bytes(u32 count, u64 *bits)
{
    u8 data[FIFO];
    u32 n = 0;
    for (u32 i = 0; i < count; i++) {
        u8 value = send_out < send_in ? to_send[send_out++ % FIFO] : 0;
        *bits += 9;
        if (addressing) {
            addressing = 0;
            value = (u8)(value << 7 | value >> 1); /* the address, and the direction above it */
            u8 address = value & 0x7F;
            present = model(value >> 7 ? I2C_START_READ : I2C_START_WRITE, &address, 1);
            if (!present)
                return 0;
        } else if (n < FIFO) {
            data[n++] = value;
        }
    }
    return n == 0 || model(I2C_WRITE, data, n);
}

static void go(void)
{
    u64 bits = 0;
    for (u32 i = 0; i < 8; i++) {
        u32 command = REG(BASE + COMMAND + 4 * i), count = command & 0xFF;
        REG(BASE + COMMAND + 4 * i) |= DONE;
        switch (command >> 11 & 7) {
        case OP_START: addressing = 1; bits++; break;
        case OP_WRITE:
            if (!write_bytes(count, &bits) && command >> 8 & 1) {
                model(I2C_STOP, 0, 0);
                finish(INT_NACK, bits);
                return;
            }
            break;
        case OP_READ: {
            u8 data[256];
            memset(data, 0xFF, sizeof data);
            if (present)
                model(I2C_READ, data, count);
            for (u32 k = 0; k < count && receive_in - receive_out < FIFO; k++)
                received[receive_in++ % FIFO] = data[k];
            bits += 9 * count;
            break;
        }
        case OP_STOP:
            model(I2C_STOP, 0, 0);
            finish(INT_COMPLETE, bits + 1);
            return;
        case OP_END: finish(INT_END, bits); return;
        default: return; /* an empty command: the list was never written */
        }
    }
}

static u32 i2c_read(u32 offset)
{
    switch (offset) {
    case 0x08: return (receive_in - receive_out) << 8 | (send_in - send_out) << 18 | (pending != 0) << 4;
    case 0x14: return 0;
    case 0x1C: return receive_out != receive_in ? received[receive_out++ % FIFO] : 0;
    case 0x20: return raw;
    case 0x28: return enabled;
    case 0x2C: return raw & enabled;
    default: return REG(BASE + offset);
    }
}

static void i2c_write(u32 offset, u32 value)
{
    switch (offset) {
    case 0x04:
        REG(BASE + offset) = value & ~BIT(5);
        if (value & BIT(5))
            go();
        return;
    case 0x18:
        if (value & BIT(13))
            send_in = send_out = 0;
        if (value & BIT(12))
            receive_in = receive_out = 0;
        break;
    case 0x1C:
        if (send_in - send_out < FIFO)
            to_send[send_in++ % FIFO] = (u8)value;
        return;
    case 0x20: return;
    case 0x24: raw &= ~value; update(); return;
    case 0x28: enabled = value; update(); return;
    }
    REG(BASE + offset) = value;
}

static void i2c_reset(void)
{
    send_in = send_out = receive_in = receive_out = raw = enabled = pending = 0;
    addressing = present = 0;
}

const struct device i2c_device = {BASE, i2c_read, i2c_write, i2c_reset};
