"""Whole words of 32 bits."""

import json
from array import array

from dsp import streams
from dsp.fft import SIGN32

words = array("i", argument)
print(json.dumps([streams.word(words, i, array("i", (SIGN32,))) for i in range(len(words))]))
