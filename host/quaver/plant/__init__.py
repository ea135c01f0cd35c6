"""The plant room: emulated nodes, with a recording at their sensors and a broker to talk to."""
