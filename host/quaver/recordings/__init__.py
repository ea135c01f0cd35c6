"""The recordings room: real and modelled vibration as what an emulated sensor measures."""

from quaver.recordings.contents import ChannelError, OptionError, RateError
from quaver.recordings.mfpt import MFPT_TERMS, MfptFile, fetch_mfpt, mfpt_files, mfpt_path
from quaver.recordings.recording import Recording, Taken, load
from quaver.recordings.sources import Playlist, RecordingSource, Source

__all__ = [
    "MFPT_TERMS",
    "ChannelError",
    "MfptFile",
    "OptionError",
    "Playlist",
    "RateError",
    "Recording",
    "RecordingSource",
    "Source",
    "Taken",
    "fetch_mfpt",
    "load",
    "mfpt_files",
    "mfpt_path",
]
