/* CMSIS-DSP's arm_rfft_q15 (Apache-2.0) with its own tables, as it is compiled for a core without DSP instructions.
 *
 * Bins: real and imaginary parts in turn, the transform over n (the library's table of output formats). It reckons in
 * the samples. Its `init` functions point to structures with absolute addresses; `prepare` fills in the same.
 */
#include "start.h"

/* What its headers take from string.h and math.h; no floating point is left in the code. */
#define memcpy __builtin_memcpy
#define memset __builtin_memset
float sqrtf(float value);

#include "arm_bitreversal2.c"
#include "arm_cfft_q15.c"
#include "arm_cfft_radix4_q15.c"
#include "arm_common_tables.c"
#include "arm_rfft_q15.c"
#include "arm_shift_q15.c"

/* After the bins. */
typedef struct {
    arm_cfft_instance_q15 pairs;
    arm_rfft_instance_q15 real;
} Plan;

#define PAIRS(length) \
    case length: \
        plan->pairs = (arm_cfft_instance_q15){ \
            length, twiddleCoef_##length##_q15, armBitRevIndexTable_fixed_##length, \
            ARMBITREVINDEXTABLE_FIXED_##length##_TABLE_LENGTH}; \
        plan->real = (arm_rfft_instance_q15){ \
            2 * length, 0, 1, 8192 / (2 * length), realCoefAQ15, realCoefBQ15, &plan->pairs}; \
        break;

void prepare(const q15_t *turn, q15_t *work, size_t n)
{
    Plan *plan = (Plan *)(work + 2 * n);
    (void)turn;
    switch (n / 2) {
        PAIRS(128)
        PAIRS(256)
        PAIRS(512)
        PAIRS(1024)
    }
}

void run(q15_t *samples, q15_t *work, size_t n)
{
    arm_rfft_q15(&((Plan *)(work + 2 * n))->real, samples, work);
}
