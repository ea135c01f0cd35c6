"""Makes names as modules bring them, by and by: the tables that there are then, and whether all are still known."""

import gc

import micropython
from hal.chip import in_place, name_table


class Holder:
    pass


holder = Holder()
gc.collect()
for number in range(1500):
    setattr(holder, "a_name_{}".format(number), number)
    if number % 20 == 0:
        name_table.trim(in_place._heap, in_place._heap_end, 512, 48)
print(sum(getattr(holder, "a_name_{}".format(number)) == number for number in range(1500)))
micropython.qstr_info()
