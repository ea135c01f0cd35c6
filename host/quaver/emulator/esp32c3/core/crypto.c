/* The AES, SHA and RSA accelerators, by themselves and fed by DMA. They take no time. TRM: the chapters of these names. */
#include "c3.h"
#include <stdlib.h>

#define LARGEST 65536u
static u8 in_data[LARGEST], out_data[LARGEST];

/* ---- SHA-1, SHA-224, SHA-256 (FIPS 180-4) */
#define SHA 0x6003B000u
enum { SHA1, SHA224, SHA256 };

static u32 hash[8];
static u32 constants[64]; /* the fractions of the cube roots of the first primes */
static const u32 first_hash[3][8] = {
    {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0},
    {0xC1059ED8, 0x367CD507, 0x3070DD17, 0xF70E5939, 0xFFC00B31, 0x68581511, 0x64F98FA7, 0xBEFA4FA4},
    {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19}};

static u32 cube_root_fraction(u32 prime) /* 32 bits of it, by bisection in whole numbers */
{
    u64 low = 1ull << 32, high = 7ull << 32;
    while (high - low > 1) {
        u64 middle = (low + high) / 2;
        if ((unsigned __int128)middle * middle * middle < (unsigned __int128)prime << 96)
            low = middle;
        else
            high = middle;
    }
    return (u32)low;
}

static void make_constants(void)
{
    u32 found = 0;
    for (u32 n = 2; found < 64; n++) {
        u32 divisor = 2;
        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        if (divisor * divisor > n)
            constants[found++] = cube_root_fraction(n);
    }
}

static u32 left(u32 v, int n) { return v << n | v >> (32 - n); }
static u32 right(u32 v, int n) { return v >> n | v << (32 - n); }

static void sha1_rounds(const u32 *block)
{
    u32 w[80], a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];
    for (int i = 0; i < 80; i++) {
        w[i] = i < 16 ? block[i] : left(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        u32 f = i < 20 ? ((b & c) | (~b & d)) : i < 40 || i >= 60 ? b ^ c ^ d : ((b & c) | (b & d) | (c & d));
        u32 k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        u32 t = left(a, 5) + f + e + k + w[i];
        e = d, d = c, c = left(b, 30), b = a, a = t;
    }
    hash[0] += a, hash[1] += b, hash[2] += c, hash[3] += d, hash[4] += e;
}

static void sha256_rounds(const u32 *block)
{
    u32 w[64], v[8];
    if (constants[0] == 0)
        make_constants();
    memcpy(v, hash, sizeof v);
    for (int i = 0; i < 64; i++) {
        if (i < 16) {
            w[i] = block[i];
        } else {
            u32 a = w[i - 15], b = w[i - 2];
            w[i] = w[i - 16] + (right(a, 7) ^ right(a, 18) ^ a >> 3) + w[i - 7] + (right(b, 17) ^ right(b, 19) ^ b >> 10);
        }
        u32 choice = (v[4] & v[5]) ^ (~v[4] & v[6]), majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        u32 t1 = v[7] + (right(v[4], 6) ^ right(v[4], 11) ^ right(v[4], 25)) + choice + constants[i] + w[i];
        u32 t2 = (right(v[0], 2) ^ right(v[0], 13) ^ right(v[0], 22)) + majority;
        memmove(v + 1, v, 28);
        v[4] += t1;
        v[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += v[i];
}

static void sha_block(const u8 *data)
{
    u32 block[16];
    memcpy(block, data, 64);
    for (int i = 0; i < 16; i++)
        block[i] = __builtin_bswap32(block[i]);
    if (REG(SHA) == SHA1)
        sha1_rounds(block);
    else
        sha256_rounds(block);
}

static u32 sha_read(u32 offset)
{
    if (offset >= 0x40 && offset < 0x60)
        return __builtin_bswap32(hash[(offset - 0x40) / 4]);
    return offset == 0x18 ? 0 : REG(SHA + offset);
}

static void sha_write(u32 offset, u32 value)
{
    if (offset >= 0x40 && offset < 0x60) {
        hash[(offset - 0x40) / 4] = __builtin_bswap32(value);
        return;
    }
    REG(SHA + offset) = value;
    if (offset == 0x10 || offset == 0x1C)
        memcpy(hash, first_hash[REG(SHA) <= SHA256 ? REG(SHA) : SHA256], sizeof hash);
    if (offset == 0x10 || offset == 0x14)
        sha_block((u8 *)&REG(SHA + 0x80));
    if (offset == 0x1C || offset == 0x20) {
        u32 wanted = REG(SHA + 0x0C) * 64, got = dma_take(DMA_SHA, in_data, wanted < LARGEST ? wanted : LARGEST);
        for (u32 at = 0; at + 64 <= got; at += 64)
            sha_block(in_data + at);
        source_set(SOURCE_SHA, REG(SHA + 0x28) & 1);
    }
    if (offset == 0x24)
        source_set(SOURCE_SHA, 0);
}

const struct device sha_device = {SHA, sha_read, sha_write, 0};

/* ---- AES (FIPS 197; modes of SP 800-38A) */
#define AES 0x6003A000u
enum { ECB, CBC, OFB, CTR, CFB8, CFB128 };

static u8 sbox[256], inverse[256];
static u8 round_keys[15][16];
static int rounds;

static u8 times2(u8 v) { return (u8)(v << 1 ^ (v >> 7) * 0x1B); }

static u8 times(u8 a, u8 b)
{
    u8 product = 0;
    for (; b != 0; b >>= 1, a = times2(a))
        if (b & 1)
            product ^= a;
    return product;
}

static void make_sbox(void)
{
    u8 p = 1, q = 1; /* q is the inverse of p, as p runs through the powers of 3 */
    do {
        p = (u8)(p ^ times2(p));
        q ^= (u8)(q << 1);
        q ^= (u8)(q << 2);
        q ^= (u8)(q << 4);
        q ^= (q & 0x80) ? 0x09 : 0;
        u8 v = (u8)(q ^ (u8)(q << 1 | q >> 7) ^ (u8)(q << 2 | q >> 6) ^ (u8)(q << 3 | q >> 5) ^ (u8)(q << 4 | q >> 4) ^ 0x63);
        sbox[p] = v;
    } while (p != 1);
    sbox[0] = 0x63;
    for (int i = 0; i < 256; i++)
        inverse[sbox[i]] = (u8)i;
}

static void expand_key(void)
{
    int words = REG(AES + 0x40) & 2 ? 8 : 4, total;
    u8 *w = round_keys[0], factor = 1;
    if (sbox[0] == 0)
        make_sbox();
    rounds = words + 6;
    total = 4 * (rounds + 1);
    memcpy(w, &REG(AES), 4 * (size_t)words);
    for (int i = words; i < total; i++) {
        u8 t[4];
        memcpy(t, w + 4 * (i - 1), 4);
        if (i % words == 0) {
            u8 first = t[0];
            t[0] = sbox[t[1]] ^ factor, t[1] = sbox[t[2]], t[2] = sbox[t[3]], t[3] = sbox[first];
            factor = times2(factor);
        } else if (words == 8 && i % 8 == 4) {
            for (int k = 0; k < 4; k++)
                t[k] = sbox[t[k]];
        }
        for (int k = 0; k < 4; k++)
            w[4 * i + k] = w[4 * (i - words) + k] ^ t[k];
    }
}

static void add_key(u8 *s, int round)
{
    for (int i = 0; i < 16; i++)
        s[i] ^= round_keys[round][i];
}

static void mix(u8 *s, const u8 *factors)
{
    for (int c = 0; c < 16; c += 4) {
        u8 column[4];
        memcpy(column, s + c, 4);
        for (int i = 0; i < 4; i++) {
            s[c + i] = 0;
            for (int k = 0; k < 4; k++)
                s[c + i] ^= times(column[k], factors[(k - i) & 3]);
        }
    }
}

static void substitute(u8 *s, const u8 *table, int direction) /* bytes, and rows shifted */
{
    u8 t[16];
    for (int i = 0; i < 16; i++)
        t[i] = table[s[(i + direction * 4 * (i & 3)) & 15]];
    memcpy(s, t, 16);
}

static void encrypt(const u8 *in, u8 *out)
{
    static const u8 factors[4] = {2, 3, 1, 1};
    memmove(out, in, 16);
    add_key(out, 0);
    for (int round = 1; round <= rounds; round++) {
        substitute(out, sbox, 1);
        if (round < rounds)
            mix(out, factors);
        add_key(out, round);
    }
}

static void decrypt(const u8 *in, u8 *out)
{
    static const u8 factors[4] = {14, 11, 13, 9};
    memmove(out, in, 16);
    for (int round = rounds; round > 0; round--) {
        add_key(out, round);
        if (round < rounds)
            mix(out, factors);
        substitute(out, inverse, -1);
    }
    add_key(out, 0);
}

static void exclusive_or(u8 *to, const u8 *a, const u8 *b, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = a[i] ^ b[i];
}

static void one_block(u32 mode, int decrypting, const u8 *in, u8 *out, u8 *iv)
{
    u8 t[16], source[16];
    memcpy(source, in, 16);
    switch (mode) {
    case ECB: (decrypting ? decrypt : encrypt)(source, out); break;
    case CBC:
        if (decrypting) {
            decrypt(source, t);
            exclusive_or(out, t, iv, 16);
            memcpy(iv, source, 16);
        } else {
            exclusive_or(t, source, iv, 16);
            encrypt(t, out);
            memcpy(iv, out, 16);
        }
        break;
    case OFB:
        encrypt(iv, iv);
        exclusive_or(out, source, iv, 16);
        break;
    case CTR:
        encrypt(iv, t);
        exclusive_or(out, source, t, 16);
        for (int i = 15; i >= (REG(AES + 0x9C) & 1 ? 0 : 12) && ++iv[i] == 0; i--)
            ;
        break;
    case CFB8:
        for (int i = 0; i < 16; i++) {
            encrypt(iv, t);
            out[i] = source[i] ^ t[0];
            memmove(iv, iv + 1, 15);
            iv[15] = decrypting ? source[i] : out[i];
        }
        break;
    default:
        encrypt(iv, t);
        exclusive_or(out, source, t, 16);
        memcpy(iv, decrypting ? source : out, 16);
    }
}

static void aes_start(void)
{
    int decrypting = REG(AES + 0x40) >> 2 & 1;
    expand_key();
    if (!(REG(AES + 0x90) & 1)) {
        one_block(ECB, decrypting, (u8 *)&REG(AES + 0x20), (u8 *)&REG(AES + 0x30), 0);
        REG(AES + 0x4C) = 0;
        return;
    }
    u32 wanted = REG(AES + 0x98) * 16, count = wanted < LARGEST ? wanted : LARGEST;
    memset(in_data, 0, count);
    dma_take(DMA_AES, in_data, count);
    for (u32 at = 0; at < count; at += 16)
        one_block(REG(AES + 0x94), decrypting, in_data + at, out_data + at, (u8 *)&REG(AES + 0x50));
    dma_give(DMA_AES, out_data, count);
    REG(AES + 0x4C) = 2; /* done */
    source_set(SOURCE_AES, REG(AES + 0xB0) & 1);
}

static void aes_write(u32 offset, u32 value)
{
    REG(AES + offset) = value;
    if (offset == 0x48 && value & 1)
        aes_start();
    if (offset == 0xAC)
        source_set(SOURCE_AES, 0);
    if (offset == 0xB8)
        REG(AES + 0x4C) = 0;
}

const struct device aes_device = {AES, 0, aes_write, 0};

/* ---- RSA: products and powers of numbers of up to 3072 bits, least word first */
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
