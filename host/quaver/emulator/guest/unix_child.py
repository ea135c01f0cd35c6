"""The child, on CPython: it takes the pty as its controlling terminal, maps its low-power memory, which lies behind the
flash, then becomes MicroPython. Arguments: a folder of modules, the flash's file, its size, and those of MicroPython.
"""

import _signal  # signal's enumerations would be a third of this start, and a node starts often
import ctypes
import fcntl
import mmap
import os
import sys
import termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
_signal.signal(_signal.SIGHUP, _signal.SIG_DFL)  # nohup hands it down ignored, and it ends the guest with its host
sys.path.insert(0, sys.argv[1])
import micropython_run  # the VM is a CPython extension

ctypes.CDLL(None).signal(_signal.SIGUSR1, ctypes.CDLL(micropython_run.__file__).mp_sched_keyboard_interrupt)
_signal.siginterrupt(_signal.SIGUSR1, True)
flash, size = int(sys.argv[2]), int(sys.argv[3])
os.ftruncate(flash, size + mmap.PAGESIZE)
retained = mmap.mmap(flash, mmap.PAGESIZE, offset=size)
address = str(ctypes.addressof(ctypes.c_char.from_buffer(retained)))
arguments = [argument.replace("RETAINED", address) for argument in sys.argv[4:]]
os._exit(micropython_run.run_main(["micropython"] + arguments))
