"""The vibration sensors that a node can have: {driver: {a setting: what it may be, the default first}}."""

from build import sensors

print({name: dict(sensors._fields("vibration", name)) for name in sensors.names("vibration")})
