"""The way of one measurement, from its samples to the verdict: features, the bearing's lines, the diagnosis."""


class Engine:
    """measurement: of dsp.measurement, which takes the samples; lines: of dsp.lines, or None without a bearing;
    diagnosis: of dsp.diagnosis. build/engine.py makes all three by a node's configuration.

    found: the lines that `measure` looked for, or None where no speed was known; None of a machine that `judge` finds
    standing still.
    """

    def __init__(self, measurement, lines, diagnosis):
        self.measurement = measurement
        self.lines = lines
        self.diagnosis = diagnosis
        self.found = None

    def measure(self, ug_per_lsb: int, rate_hz: float, speed_hz: float | None = None) -> None:
        """Work out features and lines of n samples of ug_per_lsb micro-g, taken at the measured rate_hz.

        speed_hz: of the shaft, turns a second, where a tachometer knows it. Raises ValueError.
        """
        m = self.measurement
        m.finish(ug_per_lsb, rate_hz)
        if speed_hz:
            m.shaft_hz = speed_hz
            m.shaft_confidence = 1.0
        self.found = self.lines if m.shaft_hz else None
        if self.found:
            self.found.run(m)

    def judge(self, since_s: float, trusted: bool = True) -> int:
        """Judge what `measure` left; as dsp.diagnosis has it. Returns the level."""
        level = self.diagnosis.run(self.measurement, self.found, since_s, trusted)
        if not self.measurement.shaft_hz:
            self.found = None
        return level
