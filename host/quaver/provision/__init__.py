"""The provisioning room: from a flashed, blank board to a node with a name, a key and a topic prefix."""
