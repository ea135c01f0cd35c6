/* The emulated ESP32-C3: what its pieces share. One chip a process, so its state is in plain variables.

   Register offsets and bits are those of the ESP32-C3 technical reference manual (TRM) and of the headers under
   components/soc/esp32c3 in ESP-IDF; each file names its chapter. */
#ifndef C3_H
#define C3_H
#include <stdint.h>
#include <string.h>
#pragma GCC visibility push(hidden) /* direct access to what the pieces share; c3_… of host.c is seen outside */

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define NEVER (~(u64)0)
#define BIT(n) (1u << (n))

/* ---- time: in ticks of 160 MHz, whatever clock the CPU has */
#define TICKS_PER_US 160u
extern u64 now;        /* since power-on */
extern u64 run_limit;  /* the CPU pauses here; 0 makes it pause after the present instruction */
extern u32 tick_cost;  /* ticks an instruction takes: 1 at 160 MHz, 2 at 80 MHz */
static inline void pause_cpu(void) { run_limit = 0; }

enum alarm {
    ALARM_SYSTIMER, ALARM_TIMER0, ALARM_TIMER1, ALARM_WATCHDOG0, ALARM_WATCHDOG1, ALARM_RTC_WATCHDOG, ALARM_UART0_IN,
    ALARM_UART1_IN, ALARM_UART0_OUT, ALARM_UART1_OUT, ALARM_I2C, ALARM_SPI, ALARM_PIN_MODEL, ALARM_RADIO, ALARM_ADC,
    ALARMS
};
void alarm_set(enum alarm which, u64 when); /* NEVER clears it */
u64 alarm_next(void);
void alarms_fire(void);

/* ---- CPU (cpu.c) */
extern u32 x[33], pc; /* the last is where a write to x0 goes */
extern u64 instructions, idle_ticks;
extern int interrupts_changed;
void cpu_reset(u32 entry, u32 stack);
void cpu_run(u64 until);
u32 guest_call(u32 function, u32 stack, int count, const u32 *arguments);

/* ---- memory (memory.c) */
extern u8 *read_page[], *write_page[]; /* by address >> 12 */
extern u8 *flash, *sram, *rtc_memory;
#define FLASH_SIZE (4u << 20)
#define SRAM_SIZE 0x60000u
#define RTC_MEMORY_SIZE 0x2000u
void memory_init(void);
void memory_layout_table(void);
u32 load_slow(u32 address, int size);
void store_slow(u32 address, u32 value, int size);
void mmu_set(u32 entry, u32 value);
/* How often memory that can hold code was written to: each page of RAM, which has the same place by both buses, and the
   flash, or what is mapped of it. */
extern u32 code_writes[129];
#define CODE_FLASH 128
#define CODE_PLACE(address) ((address) >> 25 & 1 ? CODE_FLASH : (address) >> 12 & 127)
int copy_in(u32 address, const u8 *data, u32 size); /* to the guest; 0 where there is no memory */
int copy_out(u8 *data, u32 address, u32 size);

static inline u32 load(u32 address, int size)
{
    u8 *page = read_page[address >> 12];
    u32 at = address & 4095;
    if (__builtin_expect(page != 0 && at + (u32)size <= 4096, 1)) {
        if (size == 4) { u32 word; memcpy(&word, page + at, 4); return word; }
        if (size == 2) { u16 half; memcpy(&half, page + at, 2); return half; }
        return page[at];
    }
    return load_slow(address, size);
}

static inline void store(u32 address, u32 value, int size)
{
    u8 *page = write_page[address >> 12];
    u32 at = address & 4095;
    if (__builtin_expect(page != 0 && at + (u32)size <= 4096, 1)) {
        memcpy(page + at, &value, (size_t)size);
        code_writes[address >> 12 & 127]++;
    } else {
        store_slow(address, value, size);
    }
}

/* ---- registers: all of 0x60000000..0x600FFFFF is backed by memory; a device gives some of it a meaning */
extern u32 registers[0x100000 / 4];
#define REG(address) registers[((address) & 0xFFFFF) >> 2]
struct device {
    u32 base; /* of a 4 KiB block */
    u32 (*read)(u32 offset);
    void (*write)(u32 offset, u32 value);
    void (*reset)(void);
};
extern const struct device uart0_device, uart1_device, usb_device, spi_mem0_device, spi_mem1_device, gpio_device, pads_device,
    rtc_device, i2c_device, ledc_device, timer0_device, timer1_device, systimer_device, spi2_device, aes_device,
    sha_device, rsa_device, dma_device, adc_device, system_device, interrupt_device, cache_device, mmu_device,
    rng_device, bus_device, clock_device, front_end_device, power_device;
void devices_reset(void);

/* ---- interrupts (interrupts.c): sources as the TRM numbers them */
enum source {
    SOURCE_GPIO = 16, SOURCE_SPI2 = 19, SOURCE_UART0 = 21, SOURCE_LEDC = 23, SOURCE_USB = 26, SOURCE_RTC = 27,
    SOURCE_I2C = 29, SOURCE_TIMER0 = 32, SOURCE_WATCHDOG0 = 33, SOURCE_TIMER1 = 34, SOURCE_WATCHDOG1 = 35,
    SOURCE_SYSTIMER = 37, SOURCE_ADC = 43, SOURCE_DMA = 44, SOURCE_RSA = 47, SOURCE_AES = 48, SOURCE_SHA = 49,
    SOURCE_FROM_CPU = 50
};
void source_set(int source, int level);
int interrupt_pending(void); /* the line to take, 0 when none */

/* ---- resets (rtc.c) */
enum { RESET_POWER_ON = 1, RESET_CORE_SOFTWARE = 3, RESET_DEEP_SLEEP = 5, RESET_CORE_WATCHDOG0 = 7,
       RESET_CORE_WATCHDOG1 = 8, RESET_CORE_RTC_WATCHDOG = 9, RESET_CPU_WATCHDOG0 = 11, RESET_CPU_SOFTWARE = 12,
       RESET_CPU_RTC_WATCHDOG = 13, RESET_RTC_WATCHDOG = 16, RESET_CPU_WATCHDOG1 = 17 };
extern int reset_wanted;
void reset_request(int cause);
void rtc_power_on(void);
void rtc_cause(int cause);
void rtc_keep(void);
void rtc_watchdog_expired(void);
void rtc_watchdog_begin(u32 seconds);
void boot(int cause);

/* ---- what the host sees (host.c) */
void fault(const char *format, ...);
extern int faulted;
void console_out(u8 value);

struct host {
    /* frame is what goes out; back, where not null, is what comes in at the same time */
    void (*spi)(const u8 *out, u8 *back, u32 count, double byte_ns);
    int (*i2c)(int verb, u8 *data, u32 count);
    void (*uart)(int number, const u8 *data, u32 count);
    void (*pin)(int number, int level);
    u64 (*pin_models)(void);
    u32 (*radio)(int entry, u32 a0, u32 a1, u32 a2);
    void (*frame)(const u8 *frame, u32 size);
    void (*hci)(const u8 *packet, u32 size);
    void (*cut)(void);
};
extern struct host host;
enum { I2C_START_WRITE, I2C_START_READ, I2C_WRITE, I2C_READ, I2C_STOP };

/* ---- devices to each other */
enum { DMA_SPI2 = 0, DMA_AES = 6, DMA_SHA = 7, DMA_ADC = 8 };
u32 dma_take(u32 peripheral, u8 *data, u32 capacity);      /* bytes that a device takes out of memory */
u32 dma_give(u32 peripheral, const u8 *data, u32 count);   /* bytes that it puts there */
void uart_receive(int number, const u8 *data, u32 count);
u32 uart_room(int number);
void uart_in_fire(int number);
void uart_out_fire(int number);
u32 uart_baud(int number);
u32 uart_parity(int number);
void uart_direct(int pin);
void uart_turn(int pin, int level);
void systimer_fire(void);
void timer_fire(int group);
void watchdog_fire(int group);
void i2c_fire(void);
void spi2_fire(void);
void adc_fire(void);
extern u32 cpu_mhz;
extern u32 efuse_mac_low, efuse_mac_high;
extern u64 random_state;
extern u32 adc_values[6];
void efuse_reset_registers(void);
void pin_input(int number, int level);
int pin_level(int number);
extern u32 watched_pins;
void sleep_begin(void);
extern u64 light_sleep_ticks, deep_sleep_ticks, woke_at, woke_before;
void timers_slept(u64 ticks);
u64 rtc_ticks(void);
u64 sleep_wake_pins(void);

/* ---- flash (flash.c) */
extern u64 flash_programmed, flash_erased;
extern u32 cut_after, cut_torn;
void flash_give_identity(const u8 *number);

/* ---- mask ROM (rom.c), radio (radio.c) */
void rom_call(void);
int radio_hooks(u32 address); /* whether a call of it comes here */
void radio_call(void);
void radio_reset(void);
int radio_deliver(void);
void radio_load(const u32 *addresses, u32 count, u32 event_base);
void rom_receive_done(u32 buffer);
extern u32 rom_returns; /* an address that no code is at: a nested call ends there */
u32 guest_malloc(u32 size, u32 stack);
#pragma GCC visibility pop
#endif
