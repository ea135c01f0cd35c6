"""Follows capture.py: the speed while a capture runs."""

from drivers.tachometer import Tachometer

tachometer = Tachometer(lambda handler: port.at_once(2, handler), 8)
tachometer.begin()
locked()
print((tachometer.turns_hz(), capture.dropped, capture.rate_hz))
