"""The benchmark: the device's own code on recordings of real machines, blind, and then held against the truth."""

from quaver.benchmark.catalogue import Group, groups
from quaver.benchmark.run import Result, run_group
from quaver.benchmark.scores import Score, score, truths

__all__ = ["Group", "Result", "Score", "groups", "run_group", "score", "truths"]
