"""The ratios of each bearing, or why there are none."""

import json

from build import bearings

answers = []
for given in argument:
    try:
        answers.append(bearings.ratios(given))
    except ValueError as error:
        answers.append(str(error))
print(json.dumps(answers))
