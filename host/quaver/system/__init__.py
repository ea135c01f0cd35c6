"""The system room: the host machine: its clock, its identity, holders of file locks."""
