"""Alarms by ISA-18.2 and IEC 62682: their states, who did what to them and when, and how many there are."""
