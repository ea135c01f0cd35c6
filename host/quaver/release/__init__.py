"""The release room: one signed file of the firmware for all boards."""
