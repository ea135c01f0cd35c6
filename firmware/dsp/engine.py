"""The way of one measurement, from its samples to the verdict: features, the bearing's lines, the diagnosis.

The band of the envelope is one where most bearings ring, and levels are judged there alone. While an alarm, or a line
that rose, has no name, the next measurements listen elsewhere too, and a race may be named there: by its evidence, for
which a band is chosen. Spectral kurtosis, the usual choice, says less: over healthy recordings it lies within 0.3 of 0
in each octave, so at commissioning there is nothing to choose by, and of the 17 damaged ones of MFPT it is highest
where the evidence is in 6. Nor does it pay to whiten the spectrum by its cepstrum: that took evidence from all of 21.
"""

from micropython import const

from quaver_wire.fields import LINES

from .lines import EVIDENCE

_SCATTER_DB = const(6.0)  # by which evidence differs from one measurement of a damaged race to the next
# Twice in a row, for a name needs two of three; between them at home, where levels are judged.
_TURNS = (0, 1, 1, 0, 2, 2)


class Engine:
    """measurement: of dsp.measurement, which takes the samples; lines: of dsp.lines, or None without a bearing;
    diagnosis: of dsp.diagnosis; classes: of dsp.classes, or None for a machine of one. build/engine.py makes all of
    them by a node's configuration.

    found: the lines that `measure` looked for, or None where no speed was known; None of a machine that `judge` finds
    standing still.
    """

    def __init__(self, measurement, lines, diagnosis, classes=None):
        self.measurement = measurement
        self.lines = lines
        self.diagnosis = diagnosis
        self.classes = classes
        self.found = None
        self._turn = 0

    def measure(self, ug_per_lsb: float, rate_hz: float, speed_hz: float | None = None, marks=None, marked=0) -> None:
        """Work out features and lines of n samples of ug_per_lsb micro-g, taken at the measured rate_hz.

        speed_hz: of the shaft, turns a second, where a tachometer knows it; marks: moments of whole turns since the
        first sample, in microseconds, of which `marked` are there. Raises ValueError.
        """
        m = self.measurement
        m.marks = marks
        m.marked = marked if speed_hz else 0
        m.tachometer_hz = speed_hz
        m.finish(ug_per_lsb, rate_hz)
        self.found = self.lines if m.shaft_hz else None
        if self.found:
            self.found.run(m)

    def judge(self, since_s: float, trusted: bool = True, power_w: float | None = None) -> int:
        """Judge what `measure` left; as dsp.diagnosis has it. power_w: what the machine draws, if that is known.

        Returns the level.
        """
        m = self.measurement
        if self.classes:
            level = self.classes.run(m, self.found, since_s, trusted, power_w)
        else:
            level = self.diagnosis.run(m, self.found, since_s, trusted)
        if not m.shaft_hz:
            self.found = None
        risen = level == 2 or any(line in self.diagnosis.causes for line in LINES)
        searching = risen and self.found and self.diagnosis.fault is None and m.stretch <= 2
        if searching and not m.away and max(self.found.evidence) >= EVIDENCE - _SCATTER_DB:
            searching = False  # the next measurement may name it here
        self._turn = (self._turn + 1) % len(_TURNS) if searching else 0
        m.tune(_TURNS[self._turn])
        return level
