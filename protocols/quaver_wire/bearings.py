"""Bearings by name, for the node that computes with one and the host that lets a person choose one.

Geometry: rolling elements, their diameter, the pitch diameter (mm), the contact angle (degrees). Dimensions are those
that the makers of the test rigs state, or the catalogue's; another maker's bearing of the same name may have other
balls, so a configured geometry is better than a name where it is known.
"""

LIBRARY = {
    "6203": (8, 6.746, 28.499, 0.0),  # SKF 6203-2RS JEM, fan end of the rig of Case Western Reserve University
    "6204": (8, 7.938, 33.5, 0.0),
    "6205": (9, 7.94, 39.04, 0.0),  # SKF 6205-2RS JEM, drive end of the same rig
    "6206": (9, 9.525, 46.0, 0.0),
    "6207": (9, 11.112, 53.5, 0.0),
    "6308": (8, 15.081, 65.0, 0.0),
    "nice": (8, 5.969, 31.623, 0.0),  # of the recordings of the Machinery Failure Prevention Technology Society
    "pronostia": (13, 3.5, 25.6, 0.0),  # the rig of FEMTO-ST, Nectoux et al., IEEE PHM 2012
    "uer204": (8, 7.92, 34.55, 0.0),  # LDK UER204 of Xi'an Jiaotong University's run-to-failure tests
    "za2115": (16, 8.407, 71.501, 15.17),  # Rexnord ZA-2115 of the University of Cincinnati's
}
