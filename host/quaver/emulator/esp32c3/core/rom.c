/* The mask ROM by what its functions do: none of its bytes are here. rom_functions.h has their names and addresses.

   Each takes an estimate of the time that such a function takes: a fixed part, and one for each byte it handles. */
#include "c3.h"
#include <math.h>
#include <stdlib.h>

#define A0 x[10]
#define A1 x[11]
#define A2 x[12]
#define A3 x[13]
#define CHIP_DATA 0x3FCDFE00u /* where the ROM keeps what it knows of the flash chip */
u32 rom_returns = 0x4005FFF0;

static void takes(u32 cycles) { now += cycles * tick_cost; }
static u8 byte(u32 address) { return (u8)load(address, 1); }
static u64 pair(u32 low, u32 high) { return (u64)high << 32 | low; }
static void give64(u64 value) { A0 = (u32)value, A1 = (u32)(value >> 32); }
static float f32(u32 bits) { float value; memcpy(&value, &bits, 4); return value; }
static u32 bits32(float value) { u32 bits; memcpy(&bits, &value, 4); return bits; }
static double f64(u32 low, u32 high) { u64 bits = pair(low, high); double value; memcpy(&value, &bits, 8); return value; }
static void give_double(double value) { u64 bits; memcpy(&bits, &value, 8); give64(bits); }

/* ---- memory and text */
static void rom_memset(void)
{
    u8 block[256];
    memset(block, (int)A1, sizeof block);
    for (u32 at = 0, part; at < A2; at += part) {
        part = A2 - at < sizeof block ? A2 - at : sizeof block;
        if (!copy_in(A0 + at, block, part))
            for (u32 i = 0; i < part; i++)
                store(A0 + at + i, A1, 1);
    }
    takes(A2 / 3);
}

static void move(u32 to, u32 from, u32 count)
{
    u8 *block = malloc(count + 1);
    takes(count / 2);
    if (copy_out(block, from, count) && copy_in(to, block, count))
        count = 0;
    if (to <= from)
        for (u32 i = 0; i < count; i++)
            store(to + i, byte(from + i), 1);
    else
        while (count-- != 0)
            store(to + count, byte(from + count), 1);
    free(block);
}

static void rom_memmove(void) { move(A0, A1, A2); }
static void rom_bzero(void) { A2 = A1, A1 = 0; rom_memset(); }

static void rom_memcmp(void)
{
    u32 i = 0;
    while (i < A2 && byte(A0 + i) == byte(A1 + i))
        i++;
    takes(2 * i);
    A0 = i == A2 ? 0 : (u32)(byte(A0 + i) - byte(A1 + i));
}

static void rom_memchr(void)
{
    u32 i = 0;
    while (i < A2 && byte(A0 + i) != (A1 & 0xFF))
        i++;
    takes(3 * i);
    A0 = i == A2 ? 0 : A0 + i;
}

static u32 length_of(u32 text, u32 most)
{
    u32 n = 0;
    while (n < most && byte(text + n) != 0)
        n++;
    takes(2 * n);
    return n;
}

static void rom_strlen(void) { A0 = length_of(A0, ~0u); }
static void rom_strnlen(void) { A0 = length_of(A0, A1); }

static void rom_strcpy(void)
{
    u32 n = length_of(A1, ~0u);
    move(A0, A1, n + 1);
}

static void rom_strncpy(void)
{
    u32 n = length_of(A1, A2);
    for (u32 i = 0; i < A2; i++)
        store(A0 + i, i < n ? byte(A1 + i) : 0, 1);
}

static void rom_strlcpy(void)
{
    u32 n = length_of(A1, ~0u);
    for (u32 i = 0; i < A2; i++)
        if (i <= n)
            store(A0 + i, i + 1 < A2 ? byte(A1 + i) : 0, 1);
    A0 = n;
}

static void rom_strcat(void) { move(A0 + length_of(A0, ~0u), A1, length_of(A1, ~0u) + 1); }

static void rom_strlcat(void)
{
    u32 at = length_of(A0, A2), n = length_of(A1, ~0u);
    for (u32 i = 0; at + i < A2; i++) {
        store(A0 + at + i, at + i + 1 < A2 && i < n ? byte(A1 + i) : 0, 1);
        if (i >= n)
            break;
    }
    A0 = at + n;
}

static u8 lower(u8 c) { return c >= 'A' && c <= 'Z' ? (u8)(c + 32) : c; }

static void compare_text(u32 most, int fold)
{
    u32 i = 0;
    int difference = 0;
    for (; i < most; i++) {
        u8 a = byte(A0 + i), b = byte(A1 + i);
        difference = fold ? lower(a) - lower(b) : a - b;
        if (difference != 0 || a == 0)
            break;
    }
    takes(4 * i);
    A0 = i == most ? 0 : (u32)difference;
}

static void rom_strcmp(void) { compare_text(~0u, 0); }
static void rom_strncmp(void) { compare_text(A2, 0); }
static void rom_strcasecmp(void) { compare_text(~0u, 1); }
static void rom_strncasecmp(void) { compare_text(A2, 1); }

static void rom_strchr(void)
{
    u32 at = A0;
    while (byte(at) != 0 && byte(at) != (A1 & 0xFF))
        at++;
    takes(3 * (at - A0));
    A0 = byte(at) == (A1 & 0xFF) ? at : 0;
}

static void rom_strrchr(void)
{
    u32 found = 0, at = A0;
    do
        if (byte(at) == (A1 & 0xFF))
            found = at;
    while (byte(at++) != 0);
    takes(3 * (at - A0));
    A0 = found;
}

static void span(int within)
{
    u32 n = 0;
    for (;; n++) {
        u8 c = byte(A0 + n);
        int in = 0;
        for (u32 at = A1; byte(at) != 0; at++)
            in |= byte(at) == c;
        if (c == 0 || in != within)
            break;
    }
    A0 = n;
}

static void rom_strspn(void) { span(1); }
static void rom_strcspn(void) { span(0); }

static void rom_strstr(void)
{
    u32 n = length_of(A1, ~0u);
    for (u32 at = A0;; at++) {
        u32 i = 0;
        while (i < n && byte(at + i) == byte(A1 + i))
            i++;
        if (i == n || byte(at) == 0) {
            A0 = i == n ? at : 0;
            return;
        }
    }
}

/* The C library's table of calls into the firmware: malloc is one of them. */
u32 guest_malloc(u32 size, u32 stack)
{
    u32 arguments[2] = {load(0x3FCDFFDC, 4), size};
    return guest_call(load(load(0x3FCDFFE0, 4) + 4, 4), stack, 2, arguments);
}

static void guest_free(u32 address)
{
    u32 arguments[2] = {load(0x3FCDFFDC, 4), address};
    guest_call(load(load(0x3FCDFFE0, 4) + 8, 4), 0, 2, arguments);
}

static void duplicate(u32 most)
{
    u32 n = length_of(A0, most), copy = guest_malloc(n + 1, 0);
    if (copy != 0) {
        move(copy, A0, n);
        store(copy + n, 0, 1);
    }
    A0 = copy;
}

static void rom_strdup(void) { duplicate(~0u); }
static void rom_strndup(void) { duplicate(A1); }
static void rom_toupper(void) { if (A0 >= 'a' && A0 <= 'z') A0 -= 32; }
static void rom_tolower(void) { if (A0 >= 'A' && A0 <= 'Z') A0 += 32; }
static void rom_isdigit(void) { A0 = A0 >= '0' && A0 <= '9'; }
static void rom_isspace(void) { A0 = A0 == ' ' || (A0 >= 9 && A0 <= 13); }
static void rom_isupper(void) { A0 = A0 >= 'A' && A0 <= 'Z'; }
static void rom_islower(void) { A0 = A0 >= 'a' && A0 <= 'z'; }
static void rom_isalpha(void) { A0 |= 32; rom_islower(); }
static void rom_isprint(void) { A0 = A0 >= 32 && A0 < 127; }

static void number(int base, u32 end_at)
{
    char text[80], *end;
    u32 n = 0;
    for (; n < sizeof text - 1 && byte(A0 + n) != 0; n++)
        text[n] = (char)byte(A0 + n);
    text[n] = 0;
    long long value = strtoll(text, &end, base);
    if (end_at != 0)
        store(end_at, A0 + (u32)(end - text), 4);
    A0 = (u32)value;
}

static void rom_atoi(void) { number(10, 0); }
static void rom_strtol(void) { number((int)A2, A1); }

/* Of A0 to the text at A1, in the base of A2; the panic handler's numbers come from here. */
static void rom_utoa(void)
{
    u32 value = A0, base = A2, n = 0;
    char text[33];
    A0 = base >= 2 && base <= 36 ? A1 : 0;
    if (A0 != 0)
        do
            text[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[value % base];
        while ((value /= base) != 0);
    for (u32 i = 0; i < n; i++)
        store(A1 + i, (u8)text[n - 1 - i], 1);
    store(A1 + n, 0, 1);
}

static void rom_itoa(void)
{
    u32 text = A1;
    if (A2 == 10 && (s32)A0 < 0) {
        store(A1++, '-', 1);
        A0 = 0 - A0;
    }
    rom_utoa();
    if (A0 != 0)
        A0 = text;
}

static void rom_qsort(void)
{
    u32 base = A0, count = A1, size = A2, compare = A3;
    u8 *one = malloc(size), *other = malloc(size);
    for (u32 i = 1; i < count; i++)
        for (u32 k = i; k > 0; k--) {
            u32 arguments[2] = {base + (k - 1) * size, base + k * size};
            if ((s32)guest_call(compare, 0, 2, arguments) <= 0)
                break;
            copy_out(one, arguments[0], size);
            copy_out(other, arguments[1], size);
            copy_in(arguments[0], other, size);
            copy_in(arguments[1], one, size);
        }
    free(one);
    free(other);
}

/* ---- whole numbers */
static void rom_abs(void) { if ((s32)A0 < 0) A0 = 0 - A0; }
static void rom_div(void)
{
    s32 a = (s32)A0, b = (s32)A1;
    if (b != 0)
        A0 = (u32)(a / b), A1 = (u32)(a % b);
}
static void rom_shift_left(void) { give64(pair(A0, A1) << (A2 & 63)); }
static void rom_shift_right(void) { give64(pair(A0, A1) >> (A2 & 63)); }
static void rom_shift_signed(void) { give64((u64)((s64)pair(A0, A1) >> (A2 & 63))); }
static void rom_swap(void) { A0 = __builtin_bswap32(A0); }
static void rom_leading(void) { A0 = A0 ? (u32)__builtin_clz(A0) : 32; }
static void rom_trailing(void) { A0 = A0 ? (u32)__builtin_ctz(A0) : 32; }
static void rom_first_set(void) { A0 = (u32)__builtin_ffs((int)A0); }
static void rom_population(void) { A0 = (u32)__builtin_popcount(A0); }
static void rom_swap64(void) { give64(__builtin_bswap64(pair(A0, A1))); }
static void rom_leading64(void) { A0 = pair(A0, A1) ? (u32)__builtin_clzll(pair(A0, A1)) : 64; }
static void rom_trailing64(void) { A0 = pair(A0, A1) ? (u32)__builtin_ctzll(pair(A0, A1)) : 64; }
static void rom_negate64(void) { give64(0 - pair(A0, A1)); }
static void rom_multiply64(void) { give64(pair(A0, A1) * pair(A2, A3)); }
static void rom_divide_unsigned(void) { u64 b = pair(A2, A3); give64(b ? pair(A0, A1) / b : 0); }
static void rom_rest_unsigned(void) { u64 b = pair(A2, A3); give64(b ? pair(A0, A1) % b : 0); }
static int divides(void) { return pair(A2, A3) != 0 && !(pair(A0, A1) == 1ull << 63 && pair(A2, A3) == ~0ull); }
static void rom_divide_signed(void) { give64(divides() ? (u64)((s64)pair(A0, A1) / (s64)pair(A2, A3)) : pair(A0, A1)); }
static void rom_rest_signed(void) { give64(divides() ? (u64)((s64)pair(A0, A1) % (s64)pair(A2, A3)) : 0); }

/* ---- floats, single and double. Comparisons answer as libgcc's do, also for what is not a number. */
static void rom_add_f(void) { A0 = bits32(f32(A0) + f32(A1)); }
static void rom_sub_f(void) { A0 = bits32(f32(A0) - f32(A1)); }
static void rom_mul_f(void) { A0 = bits32(f32(A0) * f32(A1)); }
static void rom_div_f(void) { A0 = bits32(f32(A0) / f32(A1)); }
static void compare_floats(double a, double b, int unordered)
{
    A0 = isnan(a) || isnan(b) ? (u32)unordered : (u32)(a < b ? -1 : a > b);
}
static void rom_cmp_le_f(void) { compare_floats(f32(A0), f32(A1), 1); }
static void rom_cmp_ge_f(void) { compare_floats(f32(A0), f32(A1), -1); }
static void rom_unordered_f(void) { A0 = isnan(f32(A0)) || isnan(f32(A1)); }
static s64 limited(double value, double low, double high)
{
    return isnan(value) ? 0 : (s64)(value < low ? low : value > high ? high : value);
}
static void rom_f_to_int(void) { A0 = (u32)limited(f32(A0), -2147483648.0, 2147483647.0); }
static void rom_f_to_uint(void) { A0 = (u32)limited(f32(A0), 0, 4294967295.0); }
static void rom_f_to_int64(void) { give64((u64)limited(f32(A0), -9.2233720368547748e18, 9.2233720368547748e18)); }
static u64 limited_unsigned(double value) { return !(value > 0) ? 0 : value >= 1.8446744073709552e19 ? ~0ull : (u64)value; }
static void rom_f_to_uint64(void) { give64(limited_unsigned(f32(A0))); }
static void rom_int_to_f(void) { A0 = bits32((float)(s32)A0); }
static void rom_uint_to_f(void) { A0 = bits32((float)A0); }
static void rom_int64_to_f(void) { A0 = bits32((float)(s64)pair(A0, A1)); }
static void rom_uint64_to_f(void) { A0 = bits32((float)pair(A0, A1)); }
static void rom_add_d(void) { give_double(f64(A0, A1) + f64(A2, A3)); }
static void rom_sub_d(void) { give_double(f64(A0, A1) - f64(A2, A3)); }
static void rom_mul_d(void) { give_double(f64(A0, A1) * f64(A2, A3)); }
static void rom_div_d(void) { give_double(f64(A0, A1) / f64(A2, A3)); }
static void rom_cmp_le_d(void) { compare_floats(f64(A0, A1), f64(A2, A3), 1); }
static void rom_cmp_ge_d(void) { compare_floats(f64(A0, A1), f64(A2, A3), -1); }
static void rom_unordered_d(void) { A0 = isnan(f64(A0, A1)) || isnan(f64(A2, A3)); }
static void rom_widen(void) { give_double(f32(A0)); }
static void rom_narrow(void) { A0 = bits32((float)f64(A0, A1)); }
static void rom_int_to_d(void) { give_double((s32)A0); }
static void rom_uint_to_d(void) { give_double(A0); }
static void rom_int64_to_d(void) { give_double((double)(s64)pair(A0, A1)); }
static void rom_uint64_to_d(void) { give_double((double)pair(A0, A1)); }
static void rom_d_to_int(void) { A0 = (u32)limited(f64(A0, A1), -2147483648.0, 2147483647.0); }
static void rom_d_to_uint(void) { A0 = (u32)limited(f64(A0, A1), 0, 4294967295.0); }
static void rom_d_to_int64(void) { give64((u64)limited(f64(A0, A1), -9.2233720368547748e18, 9.2233720368547748e18)); }

/* ---- checksums */
static struct { u32 state[4]; u64 count; u8 block[64]; } md5;

static void md5_block(const u8 *data)
{
    static u32 sines[64];
    static const u8 turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    u32 w[16], a = md5.state[0], b = md5.state[1], c = md5.state[2], d = md5.state[3];
    memcpy(w, data, 64);
    for (int i = 0; i < 64; i++) {
        u32 f, g;
        if (sines[i] == 0)
            sines[i] = (u32)(fabs(sin(i + 1)) * 4294967296.0); /* RFC 1321, 3.4 */
        switch (i / 16) {
        case 0: f = (b & c) | (~b & d), g = (u32)i; break;
        case 1: f = (d & b) | (~d & c), g = (u32)(5 * i + 1); break;
        case 2: f = b ^ c ^ d, g = (u32)(3 * i + 5); break;
        default: f = c ^ (b | ~d), g = (u32)(7 * i);
        }
        u32 sum = a + f + sines[i] + w[g & 15], turn = turns[i / 16][i & 3];
        a = d, d = c, c = b, b += sum << turn | sum >> (32 - turn);
    }
    md5.state[0] += a, md5.state[1] += b, md5.state[2] += c, md5.state[3] += d;
}

static void md5_add(u8 value)
{
    md5.block[md5.count++ & 63] = value;
    if ((md5.count & 63) == 0)
        md5_block(md5.block);
}

static void rom_md5_init(void)
{
    static const u32 first[4] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
    memcpy(md5.state, first, sizeof first);
    md5.count = 0;
}

static void rom_md5_update(void)
{
    for (u32 i = 0; i < A2; i++)
        md5_add(byte(A1 + i));
    takes(10 * A2);
}

static void rom_md5_final(void)
{
    u64 bits = md5.count * 8;
    md5_add(0x80);
    while ((md5.count & 63) != 56)
        md5_add(0);
    for (int i = 0; i < 8; i++)
        md5_add((u8)(bits >> 8 * i));
    copy_in(A0, (u8 *)md5.state, 16);
}

static void rom_crc32(void)
{
    u32 crc = ~A0;
    for (u32 i = 0; i < A2; i++) {
        crc ^= byte(A1 + i);
        for (int k = 0; k < 8; k++)
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    takes(6 * A2);
    A0 = ~crc;
}

/* ---- chip */
static void rom_reset_reason(void) { A0 = load(0x60008038, 4) & 63; }
static void rom_wakeup_cause(void) { A0 = load(0x600080F8, 4) & 0x1FFFF; }
static void rom_delay(void) { now += (u64)A0 * TICKS_PER_US; }
static void rom_nothing(void) {}
static void rom_zero(void) { A0 = 0; }
static void rom_one_character(void) { console_out((u8)A0); A0 = 0; }
static void rom_cpu_mhz(void) { A0 = cpu_mhz; }
static void rom_set_cpu_mhz(void) {} /* the registers have it */
static void rom_apb_hertz(void) { A0 = 80000000; }
static void rom_crystal_hertz(void) { A0 = 40000000; }
static void rom_priority(void) { store(0x600C2114 + 4 * (A0 & 31), A1, 4); }
static void rom_threshold(void) { store(0x600C2194, A0, 4); }
static void rom_enable(void) { store(0x600C2104, load(0x600C2104, 4) | A0, 4); }
static void rom_disable(void) { store(0x600C2104, load(0x600C2104, 4) & ~A0, 4); }
static void rom_type(void)
{
    u32 types = load(0x600C2108, 4), bit = BIT(A0 & 31);
    store(0x600C2108, A1 & 1 ? types | bit : types & ~bit, 4);
}
static void rom_route(void) { store(0x600C2000 + 4 * A1, A2, 4); }
static void rom_pin_in(void) { store(0x60004154 + 4 * A1, (A0 & 31) | (A2 & 1) << 5 | BIT(6), 4); }
static void rom_pin_out(void) { store(0x60004554 + 4 * A0, (A1 & 0xFF) | (A2 & 1) << 8 | (A3 & 1) << 9, 4); }
static void rom_pull_up(void) { store(0x60009004 + 4 * A0, load(0x60009004 + 4 * A0, 4) | BIT(8), 4); }
static void rom_pull_down(void) { store(0x60009004 + 4 * A0, load(0x60009004 + 4 * A0, 4) | BIT(7), 4); }
static void rom_pad_gpio(void)
{
    u32 at = 0x60009004 + 4 * A0;
    store(at, (load(at, 4) & ~(7u << 12)) | 1u << 12, 4);
}
static void rom_reset(void) { reset_request(RESET_CORE_SOFTWARE); }
static void rom_reset_cpu(void) { reset_request(RESET_CPU_SOFTWARE); }
static void rom_cache_line(void) { A0 = 32; }
static void rom_pad_wp(void) { A0 = 0x3F; }
static void rom_version_text(void) { A0 = 0x3FF1E000; }
static void rom_frame_done(void) { guest_free(A0); }

/* ---- the table */
struct rom_function { u32 address; const char *name; void (*call)(void); u32 cycles; };
static const struct rom_function functions[] = {
#define ROM(address, name, call, cycles) {address, #name, call, cycles},
#include "rom_functions.h"
#undef ROM
};
static u16 by_address[0x60000 / 2]; /* index + 1 */

void rom_init(void)
{
    for (u32 i = 0; i < sizeof functions / sizeof *functions; i++)
        by_address[(functions[i].address - 0x40000000) / 2] = (u16)(i + 1);
}

void rom_call(void)
{
    u32 at = pc, index = by_address[(pc - 0x40000000) / 2], back = x[1];
    if (index == 0) {
        fault("the image called the mask ROM at 0x%08x (from 0x%08x), which is not modelled", at, back);
        return;
    }
    takes(functions[index - 1].cycles);
    functions[index - 1].call();
    pc = back;
}

void rom_tell_flash(void)
{
    const u32 chip[8] = {0x164020, FLASH_SIZE, 65536, 4096, 256, 0xFFFF, 0, 0};
    u32 at = CHIP_DATA;
    copy_in(CHIP_DATA, (const u8 *)chip, sizeof chip);
    copy_in(0x3FCDFFF0, (u8 *)&at, 4);
}
