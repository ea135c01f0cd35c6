"""The vibration sensors that a node can have: {driver: {a setting: what it may be, the default first}}."""

import os

from build import sensors

own = [name[:-4] for name in os.listdir("/own")]
print({name: dict(sensors._fields("vibration", name)) for name in sensors.names("vibration") + own})
