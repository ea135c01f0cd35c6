"""What the bytes of a spectrum record mean, for its readers; firmware/dsp/levels.py fills them."""

BINS = 256
OCTAVES = 12  # from the lowest edge of the spectrum to half the sensor's rate
REFERENCE_G = 1e-5
STEP_DB = 0.5


def amplitude_g(level: int) -> float:
    """The amplitude in g that a byte stands for; 0 for what is below 10 micro-g."""
    return REFERENCE_G * 10 ** (level * STEP_DB / 20) if level else 0.0


def spectrum_edges(top_hz: float) -> "list[float]":
    """The 257 edges, in Hz, of the bins of the spectrum, which are spaced evenly in the logarithm up to top_hz."""
    return [top_hz * 2.0 ** (OCTAVES * (place / BINS - 1)) for place in range(BINS + 1)]


def envelope_edges(top_hz: float) -> "list[float]":
    """The 257 edges, in Hz, of the bins of the envelope's spectrum: all are as wide, from 0 to top_hz."""
    return [top_hz * place / BINS for place in range(BINS + 1)]
