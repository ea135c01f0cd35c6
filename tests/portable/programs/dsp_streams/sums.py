"""Energy, integral and powers of each spectrum."""

import json
from array import array

from dsp import streams, sums
from dsp.fft import SIGN32

result = []
form = array("i", (SIGN32, 0, 0, 0))
gains = array("H", argument["gains"])
for words in argument["spectra"]:
    spectrum = array("i", words)
    form[1] = shift = sums.span(spectrum, 12, 1800, form)
    sums.energy(spectrum, 12, 1800, form)
    total = form[2] + (form[3] << 15)
    form[2], form[3] = 12, 800
    streams.integrate(spectrum, gains, form)
    integrated = list(spectrum)
    spectrum = array("i", words)
    form[1] = half = sums.span(spectrum, 0, 2048, form) + 1
    streams.powers(spectrum, 2048, form)
    result.append([shift, total, integrated, half, list(spectrum[:2048])])
print(json.dumps(result))
