/* SHA-1, SHA-224 and SHA-256 (FIPS 180-4), by themselves and fed by DMA, in no time. TRM: SHA Accelerator. */
#include "c3.h"

#define SHA 0x6003B000u
#define LARGEST 65536u /* bytes of one run */
enum { SHA1, SHA224, SHA256 };

static u8 in_data[LARGEST];
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
