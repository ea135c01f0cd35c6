"""Runs CoreMark on the emulated ESP32-C3's processor, to hold its time against the score in the chip's datasheet.

    tools/esp32c3_coremark.py FOLDER

FOLDER is a checkout of github.com/eembc/coremark. The compiler is Clang as the package `ziglang` carries it
(pip install quaver[bench]). Code and data lie in SRAM; no image runs. CoreMark checks its own results.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import tempfile
from pathlib import Path

from quaver.emulator.esp32c3.chip import load_core

SOURCES = ("core_list_join.c", "core_main.c", "core_matrix.c", "core_state.c", "core_util.c")
AT, STACK, MHZ = 0x40390000, 0x3FCD0000, 160
ITERATIONS = 5000  # at least ten seconds of the chip's time, as the benchmark's rules ask
DATASHEET = 2.55  # CoreMark a MHz, one core at 160 MHz: ESP32-C3 datasheet, CPU and memory
HEADER = f"""
#include <stddef.h>
typedef signed short ee_s16; typedef unsigned short ee_u16; typedef signed int ee_s32; typedef unsigned char ee_u8;
typedef unsigned int ee_u32; typedef ee_u32 ee_ptr_int; typedef size_t ee_size_t; typedef ee_u32 CORE_TICKS;
#define HAS_FLOAT 0
#define HAS_TIME_H 0
#define HAS_STDIO 0
#define HAS_PRINTF 0
#define SEED_METHOD SEED_VOLATILE
#define MEM_METHOD MEM_STATIC
#define MEM_LOCATION "SRAM"
#define MULTITHREAD 1
#define MAIN_HAS_NOARGC 1
#define MAIN_HAS_NORETURN 0
#define PERFORMANCE_RUN 1
#define ITERATIONS {ITERATIONS}
#define COMPILER_VERSION ""
#define COMPILER_FLAGS ""
#define align_mem(x) (void *)(4 + (((ee_ptr_int)(x) - 1) & ~3))
typedef struct {{ ee_u8 portable_id; }} core_portable;
extern ee_u32 default_num_contexts;
void portable_init(core_portable *p, int *argc, char *argv[]);
void portable_fini(core_portable *p);
int ee_printf(const char *format, ...);
"""
PORT = f"""
#include "coremark.h"
volatile ee_s32 seed1_volatile = 0, seed2_volatile = 0, seed3_volatile = 0x66, seed4_volatile = ITERATIONS,
                seed5_volatile = 0;
ee_u32 default_num_contexts = 1;
static ee_u32 began, ended, validated;
static ee_u32 cycles(void) {{ ee_u32 v; __asm__ volatile("csrr %0, mcycle" : "=r"(v)); return v; }}
void start_time(void) {{ began = cycles(); }}
void stop_time(void) {{ ended = cycles(); }}
CORE_TICKS get_time(void) {{ return ended - began; }}
secs_ret time_in_secs(CORE_TICKS ticks) {{ return ticks / {MHZ * 1_000_000}u; }}
void portable_init(core_portable *p, int *argc, char *argv[]) {{ p->portable_id = 1; }}
void portable_fini(core_portable *p) {{ p->portable_id = 0; }}
int ee_printf(const char *format, ...) /* "Correct operation validated" is all that matters */
{{ validated |= format[0] == 'C' && format[1] == 'o' && format[2] == 'r' && format[3] == 'r'; return 0; }}
void *memset(void *to, int v, size_t n) {{ for (char *p = to; n--;) *p++ = (char)v; return to; }}
void *memcpy(void *to, const void *from, size_t n)
{{ char *p = to; const char *q = from; while (n--) *p++ = *q++; return to; }}
int main(void);
__attribute__((section(".text.start"))) ee_u32 start(void) {{ main(); return validated ? ended - began : 0; }}
"""
LAYOUT = f"""SECTIONS {{
    . = {AT:#x};
    .all : {{ *(.text.start) *(.text* .rodata* .srodata* .data* .sdata* .bss* .sbss* COMMON) BYTE(0) }}
}}"""


def compiled(folder: Path) -> bytes:
    """CoreMark as one piece for the address AT; its first function is `start`."""
    with tempfile.TemporaryDirectory(prefix="quaver-") as name:
        place = Path(name)
        (place / "core_portme.h").write_text(HEADER)
        (place / "port.c").write_text(PORT)
        (place / "layout.ld").write_text(LAYOUT)
        options = ["-target", "riscv32-freestanding-none", "-mcpu=generic_rv32+m+c", "-O3", "-ffreestanding"]
        options += ["-nostdlib", "-fno-builtin", "-fno-sanitize=all", "-w", f"-I{name}", f"-I{folder}", "-fno-pic"]
        options += [f"-Wl,-T,{place / 'layout.ld'}", "-Wl,--entry=start", "-o", str(place / "linked")]
        sources = [str(folder / source) for source in SOURCES] + [str(place / "port.c")]
        zig = [sys.executable, "-m", "ziglang"]
        for command in (["cc", *options, *sources], ["objcopy", "-O", "binary", f"{name}/linked", f"{name}/code"]):
            done = subprocess.run([*zig, *command], capture_output=True, text=True, check=False)
            if done.returncode:
                reason = next((line for line in done.stderr.splitlines() if "rror" in line), "no reason given")
                sys.exit(f"CoreMark can't be compiled: {reason}: pip install quaver[bench], and take a fresh checkout")
        return (place / "code").read_bytes()


def main() -> None:
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / SOURCES[0]).exists():
        sys.exit("tools/esp32c3_coremark.py FOLDER: give a checkout of github.com/eembc/coremark")
    library = load_core()
    library.c3_start(ctypes.create_string_buffer(256), bytes(6), bytes(8), ctypes.c_uint64(1), ctypes.c_uint32(0))
    library.guest_call.restype = ctypes.c_uint32
    library.c3_count.restype = ctypes.c_uint64
    code = compiled(Path(sys.argv[1]))
    library.c3_write(ctypes.c_uint32(AT), code, len(code))
    before = library.c3_count(0)
    cycles = library.guest_call(ctypes.c_uint32(AT), ctypes.c_uint32(STACK), 0, None)
    instructions = library.c3_count(0) - before
    if not cycles:
        sys.exit("CoreMark has not validated its results: report it")
    score = ITERATIONS / (cycles / 1e6)
    print(
        f"{score * MHZ:.1f} CoreMark at {MHZ} MHz, {score:.2f} a MHz (datasheet {DATASHEET}); "
        f"{cycles / instructions:.2f} cycles an instruction"
    )


if __name__ == "__main__":
    main()
