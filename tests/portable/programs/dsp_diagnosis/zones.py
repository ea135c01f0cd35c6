"""The zones of velocities, for each group and mounting."""

import json

from build import zones
from dsp.diagnosis import zone

answers = [zone(v, zones.limits(2, "rigid")) for v in (0.0, 1.4, 1.41, 2.8, 4.5, 4.6)]
answers += [zone(7.2, zones.limits(group, mounting)) for group in (1, 2) for mounting in ("rigid", "flexible")]
try:
    zones.limits(3, "rigid")
except ValueError as error:
    answers.append(str(error))
print(json.dumps(answers))
