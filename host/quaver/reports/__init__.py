"""Reports of a plant: energy, availability, control charts and remaining life, each figure with its records."""

from quaver.reports.model import Behind, Report
from quaver.reports.run import KINDS, Question, report

__all__ = ["KINDS", "Behind", "Question", "Report", "report"]
