/* The functions that the Python side calls. */
#include "c3.h"
#include <stdarg.h>
#include <stdio.h>

#define OUTPUT (1u << 20)
void rom_init(void);
void radio_queue(u32 kind, u32 id, const u8 *data, u32 size, u64 when);

struct host host;
int faulted;
static char fault_text[200];
static u8 output[OUTPUT];
static u32 output_count;

void fault(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault_text, sizeof fault_text, format, arguments);
    va_end(arguments);
    faulted = 1;
    pause_cpu();
}

void console_out(u8 value)
{
    if (output_count < OUTPUT)
        output[output_count++] = value;
    if (value == '\n' || output_count > 4096)
        pause_cpu();
}

void c3_start(const struct host *calls, const u8 *mac, const u8 *flash_number, u64 seed, u32 pins)
{
    host = *calls;
    efuse_mac_low = (u32)mac[2] << 24 | (u32)mac[3] << 16 | (u32)mac[4] << 8 | mac[5];
    efuse_mac_high = (u32)mac[0] << 8 | mac[1];
    flash_give_identity(flash_number);
    random_state = seed | 1;
    watched_pins = pins;
    memory_init();
    rom_init();
}

u8 *c3_flash(void) { return flash; }
void c3_boot(int cause) { boot(cause); alarm_set(ALARM_PIN_MODEL, now); }
void c3_reset(int cause) { reset_request(cause); }
const char *c3_fault(void) { return faulted ? fault_text : 0; }
u64 c3_now(void) { return now; }
u64 c3_count(int which) /* figures for benches and tests */
{
    switch (which) {
    case 0: return instructions;
    case 1: return idle_ticks;
    case 2: return flash_programmed;
    case 3: return flash_erased;
    case 4: return light_sleep_ticks;
    case 5: return deep_sleep_ticks;
    case 6: return woke_at;
    default: return woke_before;
    }
}

/* Runs until that moment, or until there is something for the host. */
void c3_run(u64 until)
{
    cpu_run(until);
}

u32 c3_output(u8 *data, u32 capacity)
{
    u32 count = output_count < capacity ? output_count : capacity;
    memcpy(data, output, count);
    memmove(output, output + count, output_count - count);
    output_count -= count;
    return count;
}

u32 c3_type(int uart, const u8 *data, u32 count)
{
    u32 room = uart_room(uart);
    count = count < room ? count : room;
    uart_receive(uart, data, count);
    return count;
}

int c3_read(u32 address, u8 *data, u32 size) { return copy_out(data, address, size); }
int c3_write(u32 address, const u8 *data, u32 size) { return copy_in(address, data, size); }
u32 c3_register(u32 address) { return load(address, 4); }
void c3_write_register(u32 address, u32 value) { store(address, value, 4); }
void c3_pin(int number, int level) { pin_input(number, level); }
int c3_pin_level(int number) { return pin_level(number); }
u32 c3_uart_baud(int number) { return uart_baud(number); }
u32 c3_uart_parity(int number) { return uart_parity(number); }
void c3_uart_direction(int pin) { uart_direct(pin); }
void c3_adc(int channel, u32 value) { adc_values[channel] = value; }
u32 c3_cut(u32 operation, int torn)
{
    u32 left = cut_after;
    cut_after = operation, cut_torn = (u32)torn;
    return left;
}
void c3_entries(const u32 *addresses, u32 count, u32 base) { radio_load(addresses, count, base); }
void c3_queue(u32 kind, u32 id, const u8 *data, u32 size, u64 after) { radio_queue(kind, id, data, size, now + after); }
