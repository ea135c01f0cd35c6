/* kissfft's kiss_fftr (BSD-3-Clause) in fixed point, 16 bits. Bins: real and imaginary parts in turn, over n. */
#include "start.h"

#define NULL 0
#define FIXED_POINT 16

/* What it reckons in floating point are its tables, which `prepare` makes, and where its search for factors ends. */
#define double int
#define floor(value) ((int)(value))
#define sqrt(value) (value)
#define cos(phase) 0
#define sin(phase) 0

#include "kiss_fft.cc"
#include "tools/kiss_fftr.cc"

/* The division that the core has no instruction for, as the compiler calls it (ARM IHI 0043, 4.3.1); of numbers that are
   not negative. Only `prepare` divides. */
unsigned long long __aeabi_idivmod(int dividend, int divisor)
{
    unsigned quotient = 0, rest = 0;
    for (int bit = 31; bit >= 0; bit--) {
        rest = rest << 1 | ((unsigned)dividend >> bit & 1);
        if (rest >= (unsigned)divisor) {
            rest -= (unsigned)divisor;
            quotient |= 1u << bit;
        }
    }
    return (unsigned long long)rest << 32 | quotient;
}

int __aeabi_idiv(int dividend, int divisor)
{
    return (int)__aeabi_idivmod(dividend, divisor);
}

/* After the bins: its plan, with exp(-2 pi j k / pairs), and exp(-pi j ((k + 1) / pairs + 1/2)), for k pairs and half. */
void prepare(const kiss_fft_scalar *turn, kiss_fft_scalar *work, size_t n)
{
    size_t size = 10 * n;
    kiss_fftr_cfg plan = kiss_fftr_alloc(n, 0, work + 2 * n, &size);
    for (size_t k = 0; k < n / 2; k++) {
        size_t at = n - 2 * k;
        plan->substate->twiddles[k].r = turn[at & (n - 1)];
        plan->substate->twiddles[k].i = turn[(at + n / 4 * 3) & (n - 1)];
    }
    for (size_t k = 0; k < n / 4; k++) {
        size_t at = n - n / 4 - k - 1;
        plan->super_twiddles[k].r = turn[at];
        plan->super_twiddles[k].i = turn[(at + n / 4 * 3) & (n - 1)];
    }
}

void run(const kiss_fft_scalar *samples, kiss_fft_scalar *work, size_t n)
{
    kiss_fftr((kiss_fftr_cfg)(work + 2 * n), samples, (kiss_fft_cpx *)work);
}
