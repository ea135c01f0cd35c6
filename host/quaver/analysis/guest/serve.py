"""Answers each line of stdin: the settings first, then measurements. Begins with all of analysis.py."""

import io
import json
import sys
from binascii import a2b_base64

try:
    analysis = Analysis(json.loads(sys.stdin.readline()))
except ValueError as error:
    print("refused", error)
    sys.exit()
print(json.dumps(None))
while True:
    line = sys.stdin.readline()
    if not line:
        break
    ug, clipped, data = line.split(" ")
    if ug == "spectra":
        analysis.spectra()
    elif ug == "baseline":
        print(json.dumps(analysis.baseline()))
    else:
        print(analysis.one(io.BytesIO(a2b_base64(data)), int(ug), clipped == "1"))
