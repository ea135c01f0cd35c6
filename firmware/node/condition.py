"""Keeps on flash what the diagnosis learned: the baseline, also when it is half learned, trend and running hours.

A file is written after each measurement that taught something, and once a running hour afterwards: some 24 small
writes a day, which wear no flash out. Each class of a machine that has several has a file of its own; the first one's
has the hours, and is that of a machine with one. So no write is longer than with one class, and a power cut costs none
of the others.
"""

import json

from micropython import const

from node import store

_HOUR_S = const(3600)


class Condition:
    """diagnosis: of dsp.diagnosis, with its baseline. mark: a text of all that makes two measurements comparable.
    classes: of dsp.classes, or None."""

    def __init__(self, diagnosis, path="/condition.json", mark="", classes=None):
        self._diagnosis = diagnosis
        self._mark = mark
        self._classes = classes
        self._saved_s = 0.0
        stem, _, suffix = path.rpartition(".")
        # of each class: its file, and how much of what it learned is there
        self._paths = ["{}{}.{}".format(stem, i + 1 if i else "", suffix) for i in range(len(diagnosis.parts))]
        self._taught: list = [0] * len(self._paths)
        self._used: set = set()  # that the machine ran in since the last hourly write

    def restore(self):
        """Take back what an earlier run saved; returns what was wrong with the files, or None.

        A corrupt file stays until there is something to save: the node then learns that class again.
        """
        diagnosis, classes = self._diagnosis, self._classes
        problem = None
        for index, path in enumerate(self._paths):
            try:
                with open(path) as file:
                    state = json.load(file)
                hours = 0 if index else state["hours"]
                if type(hours) not in (int, float) or not 0 <= hours < 1e6:
                    raise ValueError
                if state.get("mark", "") != self._mark:
                    problem = "measurement settings have changed: learning again"
                elif classes:
                    classes.restore(index, state["baseline"], state.get("trend"))
                else:
                    diagnosis.restore(state["baseline"])
                    if "trend" in state:
                        diagnosis.trend.restore(state["trend"])
                if not index:
                    diagnosis.running_s = self._saved_s = hours * _HOUR_S
                self._taught[index] = diagnosis.parts[index][0].count()
            except OSError:
                pass
            except (ValueError, KeyError, TypeError, AttributeError, MemoryError):
                problem = "{} is corrupt: learning again".format(path)
        return problem

    def forget(self, number=None):
        """What was learned, in that class or in all, is void: the next `save` writes what is there instead."""
        for index in range(len(self._taught)):
            if number in (None, index + 1):
                self._taught[index] = None

    def save(self):
        """Save if the last measurement taught something, or another hour has run; returns whether it did.

        Raises OSError when flash can't be written.
        """
        diagnosis = self._diagnosis
        hourly = diagnosis.running_s - self._saved_s >= _HOUR_S
        done = False
        for index, (baseline, trend) in enumerate(diagnosis.parts):
            if baseline is diagnosis.baseline:
                self._used.add(index)
            count = baseline.count()
            if count == self._taught[index] and not (hourly and (index in self._used or not index)):
                continue
            state = {"baseline": baseline.state(), "mark": self._mark, "trend": trend.state()}
            if not index:
                state["hours"] = diagnosis.running_s / _HOUR_S
            store.replace_json(self._paths[index], state)
            self._taught[index] = count
            if not index:
                self._saved_s = diagnosis.running_s
            done = True
        if hourly:
            self._used.clear()
        return done
