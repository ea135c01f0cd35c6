"""The child, on CPython: it takes the pty as its controlling terminal, maps its low-power memory, which lies behind the
flash, then becomes MicroPython. Arguments: a folder of modules, the flash's file, its size, and those of MicroPython.
"""

import ctypes
import fcntl
import mmap
import os
import signal
import sys
import termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup hands it down ignored, and it ends the guest with its host
sys.path.insert(0, sys.argv[1])
import micropython_run  # the VM is a CPython extension

ctypes.CDLL(None).signal(signal.SIGUSR1, ctypes.CDLL(micropython_run.__file__).mp_sched_keyboard_interrupt)
signal.siginterrupt(signal.SIGUSR1, True)
flash, size = int(sys.argv[2]), int(sys.argv[3])
os.ftruncate(flash, size + mmap.PAGESIZE)
retained = mmap.mmap(flash, mmap.PAGESIZE, offset=size)
address = str(ctypes.addressof(ctypes.c_char.from_buffer(retained)))
arguments = [argument.replace("RETAINED", address) for argument in sys.argv[4:]]
sys.exit(micropython_run.run_main(["micropython"] + arguments))
