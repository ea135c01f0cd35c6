"""The bench room: measurements that a person runs to hold a number of Quaver's own against this machine."""
