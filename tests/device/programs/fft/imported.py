"""Which passes a measurement has imported."""

import sys
import dsp.measurement

print(sorted(name for name in sys.modules if "passes" in name or "leaves" in name))
