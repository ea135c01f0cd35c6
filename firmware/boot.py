# Runs before main.py, also when main.py is interrupted: keep it free of anything that can fail.
import gc

gc.collect()
