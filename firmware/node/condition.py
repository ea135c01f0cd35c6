"""Keeps on flash what the diagnosis learned: the baseline, also when it is half learned, trend and running hours.

The file is written after each measurement that taught something, and once a running hour afterwards: some 24 small
writes a day, which wear no flash out.
"""

import json

from node import store

_HOUR_S = 3600


class Condition:
    """diagnosis: of dsp.diagnosis, with its baseline. mark: a text of all that makes two measurements comparable."""

    def __init__(self, diagnosis, path="/condition.json", mark=""):
        self._diagnosis = diagnosis
        self._path = path
        self._mark = mark
        self._saved_s = 0.0
        self._taught = diagnosis.baseline.count()

    def restore(self):
        """Take back what an earlier run saved; returns what was wrong with the file, or None.

        A corrupt file stays until there is something to save: the node then learns again.
        """
        diagnosis = self._diagnosis
        try:
            with open(self._path) as file:
                state = json.load(file)
            hours = state["hours"]
            if type(hours) not in (int, float) or not 0 <= hours < 1e6:
                raise ValueError
            comparable = state.get("mark", "") == self._mark
            if comparable:
                diagnosis.restore(state["baseline"])
                if "trend" in state:
                    diagnosis.trend.restore(state["trend"])
        except OSError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, MemoryError):
            return "{} is corrupt: learning again".format(self._path)
        diagnosis.running_s = self._saved_s = hours * _HOUR_S
        self._taught = diagnosis.baseline.count()
        return None if comparable else "measurement settings have changed: learning again"

    def forget(self):
        """What was learned is void: the next `save` writes what is there instead."""
        self._taught = None

    def save(self):
        """Save if the last measurement taught something, or another hour has run; returns whether it did.

        Raises OSError when flash can't be written.
        """
        diagnosis = self._diagnosis
        taught = diagnosis.baseline.count()
        if taught == self._taught and diagnosis.running_s - self._saved_s < _HOUR_S:
            return False
        state = {"baseline": diagnosis.baseline.state(), "hours": diagnosis.running_s / _HOUR_S, "mark": self._mark}
        state["trend"] = diagnosis.trend.state()
        store.replace(self._path, json.dumps(state).encode())
        self._saved_s = diagnosis.running_s
        self._taught = taught
        return True
