/* Products and powers of numbers of up to 3072 bits, least word first, in no time. TRM: RSA Accelerator. */
#include "c3.h"

#define RSA 0x6003C000u
#define WORDS 128u

static void multiply(u32 *z, const u32 *a, const u32 *b, u32 words)
{
    memset(z, 0, 8 * words);
    for (u32 i = 0; i < words; i++) {
        u64 carry = 0;
        for (u32 k = 0; k < words; k++) {
            carry += (u64)a[i] * b[k] + z[i + k];
            z[i + k] = (u32)carry;
            carry >>= 32;
        }
        z[i + words] = (u32)carry;
    }
}

static int compare(const u32 *a, const u32 *b, u32 words)
{
    for (u32 i = words; i-- != 0;)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

static u32 subtract(u32 *a, const u32 *b, u32 words)
{
    s64 borrow = 0;
    for (u32 i = 0; i < words; i++) {
        borrow += (s64)a[i] - b[i];
        a[i] = (u32)borrow;
        borrow >>= 32;
    }
    return (u32)-borrow;
}

/* z = a * b / R mod m, R being 2 to the bits of `words` (Montgomery); m is odd, inverse is -1/m mod 2^32. */
static void montgomery(u32 *z, const u32 *a, const u32 *b, const u32 *m, u32 inverse_m, u32 words)
{
    u32 t[WORDS + 2] = {0};
    for (u32 i = 0; i < words; i++) {
        u64 carry = 0;
        for (u32 k = 0; k < words; k++) {
            carry += (u64)a[i] * b[k] + t[k];
            t[k] = (u32)carry;
            carry >>= 32;
        }
        carry += t[words];
        t[words] = (u32)carry;
        t[words + 1] = (u32)(carry >> 32);
        u32 factor = t[0] * inverse_m;
        carry = ((u64)factor * m[0] + t[0]) >> 32;
        for (u32 k = 1; k < words; k++) {
            carry += (u64)factor * m[k] + t[k];
            t[k - 1] = (u32)carry;
            carry >>= 32;
        }
        carry += t[words];
        t[words - 1] = (u32)carry;
        t[words] = t[words + 1] + (u32)(carry >> 32);
    }
    if (t[words] != 0 || compare(t, m, words) >= 0)
        subtract(t, m, words);
    memcpy(z, t, 4 * words);
}

static u32 inverse_of(u32 m)
{
    u32 inverse_m = 1;
    for (int i = 0; i < 5; i++)
        inverse_m *= 2 - m * inverse_m;
    return 0 - inverse_m;
}

static void double_mod(u32 *a, const u32 *m, u32 words)
{
    u32 carry = 0;
    for (u32 i = 0; i < words; i++) {
        u32 top = a[i] >> 31;
        a[i] = a[i] << 1 | carry;
        carry = top;
    }
    if (carry || compare(a, m, words) >= 0)
        subtract(a, m, words);
}

static void square_of_r(u32 *rr, const u32 *m, u32 words) /* R * R mod m */
{
    memset(rr, 0, 4 * words);
    rr[0] = 1;
    for (u32 i = 0; i < 64 * words; i++)
        double_mod(rr, m, words);
}

static void rsa_start(u32 offset)
{
    u32 *m = &REG(RSA), *z = &REG(RSA + 0x200), *y = &REG(RSA + 0x400), *xs = &REG(RSA + 0x600);
    u32 words = (REG(RSA + 0x804) & 127) + 1, product[2 * WORDS], rr[WORDS], power[WORDS], base[WORDS];
    if (offset == 0x814) { /* a plain product: the second factor lies in the upper half of the result's memory */
        words /= 2;
        multiply(product, xs, z + words, words);
        memcpy(z, product, 8 * words);
    } else {
        u32 inverse_m = inverse_of(m[0]), one[WORDS] = {1};
        square_of_r(rr, m, words);
        montgomery(base, xs, rr, m, inverse_m, words);
        if (offset == 0x810) {
            montgomery(z, base, y, m, inverse_m, words);
        } else {
            montgomery(power, one, rr, m, inverse_m, words);
            for (u32 bit = 32 * words; bit-- != 0;) {
                montgomery(power, power, power, m, inverse_m, words);
                if (y[bit / 32] >> (bit & 31) & 1)
                    montgomery(power, power, base, m, inverse_m, words);
            }
            montgomery(z, power, one, m, inverse_m, words);
        }
    }
    source_set(SOURCE_RSA, REG(RSA + 0x82C) & 1);
}

static u32 rsa_read(u32 offset)
{
    return offset == 0x808 || offset == 0x818 ? 1 : REG(RSA + offset); /* memory is clean, the work is done */
}

static void rsa_write(u32 offset, u32 value)
{
    REG(RSA + offset) = value;
    if (offset >= 0x80C && offset <= 0x814 && value & 1)
        rsa_start(offset);
    if (offset == 0x81C)
        source_set(SOURCE_RSA, 0);
}

const struct device rsa_device = {RSA, rsa_read, rsa_write, 0};
