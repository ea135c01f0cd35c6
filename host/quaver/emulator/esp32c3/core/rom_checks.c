/* Of the mask ROM: MD5 (RFC 1321) and CRC-32. */
#include "rom.h"
#include <math.h>

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

void rom_md5_init(void)
{
    static const u32 first[4] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476};
    memcpy(md5.state, first, sizeof first);
    md5.count = 0;
}

void rom_md5_update(void)
{
    for (u32 i = 0; i < A2; i++)
        md5_add(byte(A1 + i));
    takes(10 * A2);
}

void rom_md5_final(void)
{
    u64 bits = md5.count * 8;
    md5_add(0x80);
    while ((md5.count & 63) != 56)
        md5_add(0);
    for (int i = 0; i < 8; i++)
        md5_add((u8)(bits >> 8 * i));
    copy_in(A0, (u8 *)md5.state, 16);
}

void rom_crc32(void)
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
