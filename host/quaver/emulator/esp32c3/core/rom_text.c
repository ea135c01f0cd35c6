/* Of the mask ROM: memory, text, sorting, and what of the C library calls the firmware. */
#include "rom.h"
#include <stdlib.h>

void rom_memset(void)
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

void rom_memmove(void) { move(A0, A1, A2); }
void rom_bzero(void) { A2 = A1, A1 = 0; rom_memset(); }

void rom_memcmp(void)
{
    u32 i = 0;
    while (i < A2 && byte(A0 + i) == byte(A1 + i))
        i++;
    takes(2 * i);
    A0 = i == A2 ? 0 : (u32)(byte(A0 + i) - byte(A1 + i));
}

void rom_memchr(void)
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

void rom_strlen(void) { A0 = length_of(A0, ~0u); }
void rom_strnlen(void) { A0 = length_of(A0, A1); }

void rom_strcpy(void)
{
    u32 n = length_of(A1, ~0u);
    move(A0, A1, n + 1);
}

void rom_strncpy(void)
{
    u32 n = length_of(A1, A2);
    for (u32 i = 0; i < A2; i++)
        store(A0 + i, i < n ? byte(A1 + i) : 0, 1);
}

void rom_strlcpy(void)
{
    u32 n = length_of(A1, ~0u);
    for (u32 i = 0; i < A2; i++)
        if (i <= n)
            store(A0 + i, i + 1 < A2 ? byte(A1 + i) : 0, 1);
    A0 = n;
}

void rom_strcat(void) { move(A0 + length_of(A0, ~0u), A1, length_of(A1, ~0u) + 1); }

void rom_strlcat(void)
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

void rom_strcmp(void) { compare_text(~0u, 0); }
void rom_strncmp(void) { compare_text(A2, 0); }
void rom_strcasecmp(void) { compare_text(~0u, 1); }
void rom_strncasecmp(void) { compare_text(A2, 1); }

void rom_strchr(void)
{
    u32 at = A0;
    while (byte(at) != 0 && byte(at) != (A1 & 0xFF))
        at++;
    takes(3 * (at - A0));
    A0 = byte(at) == (A1 & 0xFF) ? at : 0;
}

void rom_strrchr(void)
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

void rom_strspn(void) { span(1); }
void rom_strcspn(void) { span(0); }

void rom_strstr(void)
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

void guest_free(u32 address)
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

void rom_strdup(void) { duplicate(~0u); }
void rom_strndup(void) { duplicate(A1); }
void rom_toupper(void) { if (A0 >= 'a' && A0 <= 'z') A0 -= 32; }
void rom_tolower(void) { if (A0 >= 'A' && A0 <= 'Z') A0 += 32; }
void rom_isdigit(void) { A0 = A0 >= '0' && A0 <= '9'; }
void rom_isspace(void) { A0 = A0 == ' ' || (A0 >= 9 && A0 <= 13); }
void rom_isupper(void) { A0 = A0 >= 'A' && A0 <= 'Z'; }
void rom_islower(void) { A0 = A0 >= 'a' && A0 <= 'z'; }
void rom_isalpha(void) { A0 |= 32; rom_islower(); }
void rom_isprint(void) { A0 = A0 >= 32 && A0 < 127; }

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

void rom_atoi(void) { number(10, 0); }
void rom_strtol(void) { number((int)A2, A1); }

/* Of A0 to the text at A1, in the base of A2; the panic handler's numbers come from here. */
void rom_utoa(void)
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

void rom_itoa(void)
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

void rom_qsort(void)
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
