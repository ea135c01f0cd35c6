"""Follows capture.py: a capture and its results."""

capture.run()
m = measurement
m.finish(sensor.UG_PER_LSB, 26667.0)
print((m.stage(), [m.rms_g, m.peak_g, m.crest, m.kurtosis, m.skew, m.envelope_g] + m.peaks + m.bands))
