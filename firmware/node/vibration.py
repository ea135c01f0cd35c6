"""One measurement of vibration: the capture, its features, the verdict, and what the record and the events say."""

import math
import time

from micropython import const
from uctypes import addressof, bytearray_at

from node.measure import level_change
from quaver_wire.fields import FAULTS

_ALARM = const(2)  # of LEVELS
_SEEN = const(4)  # of dsp.lines: what noise reaches

# of quaver_wire.reasons
_STUCK = const(204)
_NO_PULSES = const(210)


def _decibels(height):
    """The height of a line over its background in dB; None where dsp.lines sees none."""
    return 20 * math.log10(height) if height > _SEEN else None


class Vibration:
    """capture: of node.capture; engine: of dsp.engine, with the measurement that the capture fills.

    condition: keeps on flash what the engine's diagnosis learns.
    quiet: a lock that is held while nothing may take the processor for longer than the FIFO lasts.
    alarm_waveform: of node.alarm_waveform. tachometer: anything with begin() and turns_hz(), or None.
    power_w: what the machine draws, as the meter read it just before, or None; node.measure sets it.
    """

    def __init__(self, capture, engine, condition, quiet, alarm_waveform, tachometer=None):
        self._capture = capture
        self._engine = engine
        self.measurement = engine.measurement
        self._diagnosis = engine.diagnosis
        self._condition = condition
        self._quiet = quiet
        self.alarm_waveform = alarm_waveform
        self._keeping = False  # whether the last measurement's waveform is kept
        self._tachometer = tachometer
        self.power_w = None
        self._measured = None
        self._told = {}  # levels by feature, as the last events had them
        self._fault = None
        self._unsaved = self._unkept = False
        self._pulseless = False

    def probe(self):
        """See that the sensor is there. What the machine did since the last measurement is not known then."""
        self._measured = None
        self._capture.sensor.probe()

    async def read(self):
        """(fields of a record, names of quality bits, changes: see node.measure). Raises OSError, ValueError."""
        capture = self._capture
        m = self.measurement
        tachometer = self._tachometer
        async with self._quiet:
            for _ in range(2):
                if tachometer:
                    tachometer.begin()
                try:
                    capture.run()
                finally:
                    speed_hz = tachometer.turns_hz() if tachometer else None
                if not capture.dropped:
                    break  # else once more: the radio's driver may have held the processor; rarely twice running
        self._keeping = False
        sensor = capture.sensor
        if speed_hz:
            self._engine.measure(sensor.UG_PER_LSB, capture.rate_hz, speed_hz, tachometer.moments, tachometer.kept)
        else:
            self._engine.measure(sensor.UG_PER_LSB, capture.rate_hz)
        if m.minimum == m.maximum:
            # A machine at rest still shows the noise of the part; the same number every time is a dead one.
            raise OSError(_STUCK, m.maximum)
        marks = []
        if capture.dropped:
            marks.append("dropped")
        if m.maximum >= sensor.CLIP_LSB or m.minimum <= -sensor.CLIP_LSB:
            marks.append("clipped")
        values = {"rate_hz": capture.rate_hz, "jitter_us": capture.jitter_us}
        values["samples"] = m.n
        values["dropped"] = capture.dropped
        changes = self._judge(values, not marks)
        self._features(values, self._engine.found)
        if tachometer and self._diagnosis.state and self._pulseless == bool(speed_hz):
            self._pulseless = not speed_hz
            event = "sensor_recovered" if speed_hz else "sensor_failed"
            changes.append((event, "tachometer", {"error": None if speed_hz else OSError(_NO_PULSES)}))
        return values, marks, changes

    def spectrum(self):
        """The fields of a spectrum record of the last measurement; its spectra are views, as of `waveform`."""
        m = self.measurement
        lines = self._engine.found
        return {
            "spectrum": m.spectrum,
            "envelope_spectrum": m.envelope_spectrum,
            "spectrum_hz": self._capture.rate_hz / 2,
            "envelope_spectrum_hz": len(m.powers) // 2 * m.line_hz,
            "band_low_hz": m.band[0],
            "band_high_hz": m.band[1],
            "marks_hz": [m.shaft_hz] + (lines.hz if lines else []),
        }

    def waveform(self):
        """(the first samples of the last measurement: int16, little-endian; their rate in Hz; g a count).

        The samples are a view: the next measurement overwrites them, and the heap has no room for a copy.
        Raises ValueError before the first measurement.
        """
        if not self._capture.rate_hz:
            raise ValueError("nothing measured yet")
        samples = self.measurement.samples
        view = bytearray_at(addressof(samples), 2 * len(samples))
        return view, self._capture.rate_hz, self._capture.sensor.UG_PER_LSB * 1e-6

    def attest(self, changes):
        """Give each alarm and fault among the changes, of the last measurement, its evidence; keep an alarm's waveform.

        Returns more changes: flash that can't be written is told once.
        """
        for name, _, values in changes:
            if name == "fault" or (name == "level" and values["level"] == _ALARM):
                self._evidence(values)
        alarms = [values for name, _, values in changes if name == "level" and values["level"] == _ALARM]
        more: tuple = ()
        if alarms:
            try:
                if self.keep():
                    for values in alarms:
                        values["waveform"] = 1
                self._unkept = False
            except OSError as error:
                if not self._unkept:
                    self._unkept = True
                    more = (("flash_failed", "waveform", {"text": str(error)}),)
        return more

    def keep(self):
        """Keep the last measurement's waveform; whether it is kept. Raises OSError when flash can't be written, and
        ValueError before the first measurement."""
        if not self._keeping:
            self._keeping = self.alarm_waveform.save(*self.waveform())
        return self._keeping

    def _evidence(self, values):
        """Add what speaks for the diagnosis: the line that stands out, and the speed that it was looked for at."""
        m = self.measurement
        d = self._diagnosis
        lines = self._engine.found
        values["abstained"] = d.abstained or None
        values["shaft_hz"] = m.shaft_hz
        values["shaft_confidence"] = m.shaft_confidence if m.shaft_hz else None
        if d.fault is not None and d.fault == m.orders.fault:
            values["velocity_share"] = m.orders.share
        elif lines and d.line is not None:
            i = d.line
            values["evidence_line"] = i
            values["evidence_hz"] = lines.hz[i]
            values["evidence_g"] = lines.g[i]
            values["evidence_db"] = lines.evidence[i]
            values["margin_db"] = d.margin_db
            values["signs"] = lines.signs[i]
            values["sidebands_db"] = _decibels(lines.pairs[i])
            values["harmonics_db"] = [_decibels(lines.heights[3 * i + k]) for k in range(3)]

    def relearn(self, number=None):
        """Forget the baseline of this machine, or of its class of that number, to learn a new one; `save` has it so on
        flash. Returns changes. Raises ValueError for a class that there is none of."""
        d = self._diagnosis
        classes = self._engine.classes
        if number and number > len(d.parts):
            raise ValueError("class {}: expected 1 to {}, by machine.classes".format(number, len(d.parts)))
        if classes:
            classes.relearn(number)
        else:
            d.relearn()
        self._condition.forget(number)
        changes = []
        for feature, before in self._told.items():
            threshold = d.thresholds.get(feature)
            level = max(threshold.level if threshold else 0, d.held.get(feature, 0))
            if level < before:
                self._told[feature] = level
                changes.append(("level", feature, {"level": level}))
        return changes

    def _features(self, values, lines):
        m = self.measurement
        for name in ("rms_g", "peak_g", "crest", "kurtosis", "skew", "velocity_mm_s", "envelope_g"):
            values[name] = getattr(m, name)
        if m.away:
            values["envelope_g"] = None  # of another band: no point of its curve
        values["peaks"] = m.peaks
        values["bands"] = m.bands
        values["shaft_hz"] = m.shaft_hz
        values["shaft_confidence"] = m.shaft_confidence
        if lines:
            found: list = []
            for i in range(4):
                found += (lines.hz[i], lines.g[i], lines.score[i])
                found += lines.heights[3 * i + 1 : 3 * i + 3]
            values["lines"] = found

    def _judge(self, values, trusted):
        d = self._diagnosis
        now = time.ticks_ms()
        since_s = self.measurement.n / self._capture.rate_hz
        if self._measured is not None:
            since_s = time.ticks_diff(now, self._measured) / 1000
        self._measured = now
        values["level"] = self._engine.judge(since_s, trusted, self.power_w)
        values["machine"] = d.state
        values["zone"] = d.zone
        values["learned"] = d.baseline.count()
        classes = self._engine.classes
        if classes and d.state:
            values["class"] = None if classes.index is None else classes.index + 1
            values["class_learned"] = [baseline.count() for baseline, _ in d.parts]
        values["running_h"] = d.running_s / 3600
        values["fault"] = d.fault
        if d.line is not None:
            values["margin_db"] = d.margin_db
        values["abstained"] = d.abstained or None
        # a machine that stands is not judged: what was told of it holds
        return self._changes() if d.state else ()

    def _changes(self):
        """For each feature whose level is another than before, for a fault that is named, for the baseline."""
        d = self._diagnosis
        told = self._told
        changes = []
        for feature, threshold in d.thresholds.items():
            before = told.get(feature, 0)
            level = d.causes.get(feature, 0)
            if level != before:
                told[feature] = level
                changes.append(level_change(feature, threshold, before, level, d.values[feature]))
        if d.fault is not None and d.fault != self._fault:
            changes.append(("fault", FAULTS[d.fault], {"level": d.level, "value": d.margin_db}))
        if d.fault is not None or not d.level:
            self._fault = d.fault
        if d.state == 1 and d.baseline.learned:  # by this measurement
            classes = self._engine.classes
            subject = "class {}".format(classes.index + 1) if classes else ""
            changes.append(("baseline_learned", subject, {"value": float(d.baseline.count())}))
        return changes

    def save(self):
        """Save what was learned; returns changes: flash that can't be written is told once."""
        try:
            self._condition.save()
            self._unsaved = False
        except MemoryError:  # it passes, and the next measurement saves it
            print("node: condition: no memory to save it now")
        except OSError as error:
            if not self._unsaved:
                self._unsaved = True
                return (("flash_failed", "condition", {"text": str(error)}),)
        return ()
