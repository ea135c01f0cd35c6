"""The recordings room: real and modelled vibration as what an emulated sensor measures."""

from quaver.recordings.contents import ChannelError, OptionError, RateError
from quaver.recordings.cwru import CWRU_TERMS, CwruFile, cwru_files, fetch_cwru
from quaver.recordings.mfpt import MFPT_TERMS, MfptFile, fetch_mfpt, mfpt_files, mfpt_path
from quaver.recordings.pronostia import PRONOSTIA_TERMS, Life, fetch_pronostia, lives
from quaver.recordings.recording import Recording, Taken, load
from quaver.recordings.sources import Playlist, RecordingSource, Source

__all__ = [
    "CWRU_TERMS",
    "MFPT_TERMS",
    "PRONOSTIA_TERMS",
    "ChannelError",
    "CwruFile",
    "Life",
    "MfptFile",
    "OptionError",
    "Playlist",
    "RateError",
    "Recording",
    "RecordingSource",
    "Source",
    "Taken",
    "cwru_files",
    "fetch_cwru",
    "fetch_mfpt",
    "fetch_pronostia",
    "lives",
    "load",
    "mfpt_files",
    "mfpt_path",
]
