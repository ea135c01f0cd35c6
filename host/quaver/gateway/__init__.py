"""The gateway that runs on a host: from nodes over Bluetooth to a broker."""
