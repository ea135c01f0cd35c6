"""Quaver's host side: builds, emulates and listens to machine-condition sensor nodes."""

__version__ = "0.1.0"
