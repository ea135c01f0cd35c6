"""Every bearing of the library passes the check of ratios."""

from build import bearings

for geometry in bearings.LIBRARY.values():
    bearings.check_ratios(*bearings.from_geometry(*geometry))
print(len(bearings.LIBRARY))
