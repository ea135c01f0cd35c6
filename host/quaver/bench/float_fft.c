/* The glue around emlearn's FFT (eml_fft.h, MIT) that makes it one flat piece of Thumb code for the bench.
 *
 * The code begins with a call of `run`. Behind it, from byte 8 on, eight bytes each, stand the ways to the chip's own
 * float routines; the last four of the eight are the address, which the bench fills in on the device. They are the RP2040's bootrom ones (datasheet, 2.8.3.2), which is what the Pico SDK,
 * and so MicroPython itself, reckons with. Nothing in here has an absolute address: it runs wherever it is put.
 */

__asm__(
    ".syntax unified\n"
    ".text\n"
    ".p2align 2\n"
    ".globl start\n"
    ".thumb_func\n"
    "start:\n"
    "    push {r4, lr}\n"
    "    bl run\n"
    "    pop {r4, pc}\n"
    /* Each may use r0 to r3 and r12 (run-time ABI for the Arm architecture, 4.1.2); the arguments are r0 and r1. */
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

typedef __SIZE_TYPE__ size_t;
typedef short int16_t;

/* What eml_fft.h takes from eml_common.h and math.h; the tables are made on the device. */
typedef enum { EmlOk, EmlSizeMismatch } EmlError;
#define EML_PRECONDITION(condition, error) \
    if (!(condition)) return (error)
#define M_PI 3.14159265358979323846
#define cosf(turns) 0.0f
#define sinf(turns) 0.0f

#include "eml_fft.h"

/* n samples into n bins. work: n real parts, n imaginary ones, the n/2 sines and cosines of k/n of a turn. */
int run(const int16_t *samples, float *work, size_t n)
{
    EmlFFT table = {(int)(n / 2), work + 2 * n, work + 2 * n + n / 2};
    for (size_t i = 0; i < n; i++) {
        work[i] = samples[i];
        work[n + i] = 0;
    }
    return eml_fft_forward(table, work, work + n, n);
}
