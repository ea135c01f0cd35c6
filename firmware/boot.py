# Runs before main.py, also when main.py is interrupted: keep it free of anything that can fail.
import gc

# Collecting often while modules are imported keeps the heap in one piece: a block's spectrum wants 16 kB of it.
gc.threshold(8192)
