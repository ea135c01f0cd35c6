/* AES (FIPS 197) with the modes of SP 800-38A, by itself and fed by DMA, in no time. TRM: AES Accelerator. */
#include "c3.h"

#define AES 0x6003A000u
#define LARGEST 65536u /* bytes of one run */
enum { ECB, CBC, OFB, CTR, CFB8, CFB128 };

static u8 in_data[LARGEST], out_data[LARGEST];
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
