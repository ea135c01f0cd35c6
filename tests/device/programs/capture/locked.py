"""Follows capture.py: a capture with the heap locked."""

locked()
print((capture.dropped, capture.rate_hz, capture.jitter_us))
