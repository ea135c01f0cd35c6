"""What the velocity speaks for, by its share and by how far it rose, with a bearing's line beside it or without."""

import json

from dsp_diagnosis.machine import Orders, learned, lines, measured, told

answers = []
for velocity, share, strength in argument:
    d = learned()
    orders = Orders()
    orders.fault, orders.share = 4, share
    for _ in range(3):
        d.run(measured(velocity_mm_s=velocity, orders=orders), lines(bpfi=strength), 60)
    answers.append(told(d))
print(json.dumps(answers))
