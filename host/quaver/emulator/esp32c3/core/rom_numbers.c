/* Of the mask ROM: whole numbers of 32 and 64 bits, and floats. */
#include "rom.h"
#include <math.h>

/* ---- whole numbers */
void rom_abs(void) { if ((s32)A0 < 0) A0 = 0 - A0; }
void rom_div(void)
{
    s32 a = (s32)A0, b = (s32)A1;
    if (b != 0)
        A0 = (u32)(a / b), A1 = (u32)(a % b);
}
void rom_shift_left(void) { give64(pair(A0, A1) << (A2 & 63)); }
void rom_shift_right(void) { give64(pair(A0, A1) >> (A2 & 63)); }
void rom_shift_signed(void) { give64((u64)((s64)pair(A0, A1) >> (A2 & 63))); }
void rom_swap(void) { A0 = __builtin_bswap32(A0); }
void rom_leading(void) { A0 = A0 ? (u32)__builtin_clz(A0) : 32; }
void rom_trailing(void) { A0 = A0 ? (u32)__builtin_ctz(A0) : 32; }
void rom_first_set(void) { A0 = (u32)__builtin_ffs((int)A0); }
void rom_population(void) { A0 = (u32)__builtin_popcount(A0); }
void rom_swap64(void) { give64(__builtin_bswap64(pair(A0, A1))); }
void rom_leading64(void) { A0 = pair(A0, A1) ? (u32)__builtin_clzll(pair(A0, A1)) : 64; }
void rom_trailing64(void) { A0 = pair(A0, A1) ? (u32)__builtin_ctzll(pair(A0, A1)) : 64; }
void rom_negate64(void) { give64(0 - pair(A0, A1)); }
void rom_multiply64(void) { give64(pair(A0, A1) * pair(A2, A3)); }
void rom_divide_unsigned(void) { u64 b = pair(A2, A3); give64(b ? pair(A0, A1) / b : 0); }
void rom_rest_unsigned(void) { u64 b = pair(A2, A3); give64(b ? pair(A0, A1) % b : 0); }
static int divides(void) { return pair(A2, A3) != 0 && !(pair(A0, A1) == 1ull << 63 && pair(A2, A3) == ~0ull); }
void rom_divide_signed(void) { give64(divides() ? (u64)((s64)pair(A0, A1) / (s64)pair(A2, A3)) : pair(A0, A1)); }
void rom_rest_signed(void) { give64(divides() ? (u64)((s64)pair(A0, A1) % (s64)pair(A2, A3)) : 0); }

/* ---- floats, single and double. Comparisons answer as libgcc's do, also for what is not a number. */
void rom_add_f(void) { A0 = bits32(f32(A0) + f32(A1)); }
void rom_sub_f(void) { A0 = bits32(f32(A0) - f32(A1)); }
void rom_mul_f(void) { A0 = bits32(f32(A0) * f32(A1)); }
void rom_div_f(void) { A0 = bits32(f32(A0) / f32(A1)); }
static void compare_floats(double a, double b, int unordered)
{
    A0 = isnan(a) || isnan(b) ? (u32)unordered : (u32)(a < b ? -1 : a > b);
}
void rom_cmp_le_f(void) { compare_floats(f32(A0), f32(A1), 1); }
void rom_cmp_ge_f(void) { compare_floats(f32(A0), f32(A1), -1); }
void rom_unordered_f(void) { A0 = isnan(f32(A0)) || isnan(f32(A1)); }
static s64 limited(double value, double low, double high)
{
    return isnan(value) ? 0 : (s64)(value < low ? low : value > high ? high : value);
}
void rom_f_to_int(void) { A0 = (u32)limited(f32(A0), -2147483648.0, 2147483647.0); }
void rom_f_to_uint(void) { A0 = (u32)limited(f32(A0), 0, 4294967295.0); }
void rom_f_to_int64(void) { give64((u64)limited(f32(A0), -9.2233720368547748e18, 9.2233720368547748e18)); }
static u64 limited_unsigned(double value) { return !(value > 0) ? 0 : value >= 1.8446744073709552e19 ? ~0ull : (u64)value; }
void rom_f_to_uint64(void) { give64(limited_unsigned(f32(A0))); }
void rom_int_to_f(void) { A0 = bits32((float)(s32)A0); }
void rom_uint_to_f(void) { A0 = bits32((float)A0); }
void rom_int64_to_f(void) { A0 = bits32((float)(s64)pair(A0, A1)); }
void rom_uint64_to_f(void) { A0 = bits32((float)pair(A0, A1)); }
void rom_add_d(void) { give_double(f64(A0, A1) + f64(A2, A3)); }
void rom_sub_d(void) { give_double(f64(A0, A1) - f64(A2, A3)); }
void rom_mul_d(void) { give_double(f64(A0, A1) * f64(A2, A3)); }
void rom_div_d(void) { give_double(f64(A0, A1) / f64(A2, A3)); }
void rom_cmp_le_d(void) { compare_floats(f64(A0, A1), f64(A2, A3), 1); }
void rom_cmp_ge_d(void) { compare_floats(f64(A0, A1), f64(A2, A3), -1); }
void rom_unordered_d(void) { A0 = isnan(f64(A0, A1)) || isnan(f64(A2, A3)); }
void rom_widen(void) { give_double(f32(A0)); }
void rom_narrow(void) { A0 = bits32((float)f64(A0, A1)); }
void rom_int_to_d(void) { give_double((s32)A0); }
void rom_uint_to_d(void) { give_double(A0); }
void rom_int64_to_d(void) { give_double((double)(s64)pair(A0, A1)); }
void rom_uint64_to_d(void) { give_double((double)pair(A0, A1)); }
void rom_d_to_int(void) { A0 = (u32)limited(f64(A0, A1), -2147483648.0, 2147483647.0); }
void rom_d_to_uint(void) { A0 = (u32)limited(f64(A0, A1), 0, 4294967295.0); }
void rom_d_to_int64(void) { give64((u64)limited(f64(A0, A1), -9.2233720368547748e18, 9.2233720368547748e18)); }
