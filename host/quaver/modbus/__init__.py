"""Machines that answer Modbus: their registers as the values of a node."""
