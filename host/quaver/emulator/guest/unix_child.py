"""The child, on CPython: it takes the pty as its controlling terminal, then becomes MicroPython."""

import ctypes
import fcntl
import signal
import sys
import termios

fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup hands it down ignored, and it ends the guest with its host
sys.path.insert(0, sys.argv[1])
import micropython_run  # the VM is a CPython extension

ctypes.CDLL(None).signal(signal.SIGUSR1, ctypes.CDLL(micropython_run.__file__).mp_sched_keyboard_interrupt)
signal.siginterrupt(signal.SIGUSR1, True)
sys.exit(micropython_run.run_main(["micropython"] + sys.argv[2:]))
