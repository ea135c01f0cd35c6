/* emlearn's FFT (eml_fft.h, MIT): complex, radix 2, single precision. Bins: n real parts, then n imaginary ones.
 *
 * From byte 16 on, eight bytes each, stand the ways to the chip's own float routines; the last four of the eight are
 * the address, which the bench fills in on the device. They are the RP2040's bootrom ones (datasheet, 2.8.3.2), which
 * is what the Pico SDK, and so MicroPython itself, reckons with.
 */
#include "start.h"

/* Each may use r0 to r3 and r12 (run-time ABI for the Arm architecture, 4.1.2); the arguments are r0 and r1. */
__asm__(
    ".macro routine name\n"
    ".globl \\name\n"
    ".thumb_func\n"
    "\\name:\n"
    "    ldr r2, address_\\name\n"
    "    bx r2\n"
    "address_\\name: .word 0\n"
    ".endm\n"
    "routine __aeabi_fadd\n"
    "routine __aeabi_fsub\n"
    "routine __aeabi_fmul\n"
    "routine __aeabi_i2f\n");

/* What it takes from math.h; its tables are made by `prepare`. */
#define M_PI 3.14159265358979323846
#define cosf(turns) 0.0f
#define sinf(turns) 0.0f

#include "eml_fft.h"

/* After the bins: the sines and cosines of half a turn. */
void prepare(const float *turn, float *work, size_t n)
{
    for (size_t k = 0; k < n / 2; k++) {
        work[2 * n + k] = turn[(k + n / 4 * 3) & (n - 1)];
        work[2 * n + n / 2 + k] = turn[k];
    }
}

int run(const int16_t *samples, float *work, size_t n)
{
    EmlFFT table = {(int)(n / 2), work + 2 * n, work + 2 * n + n / 2};
    for (size_t i = 0; i < n; i++) {
        work[i] = samples[i];
        work[n + i] = 0;
    }
    return eml_fft_forward(table, work, work + n, n);
}
