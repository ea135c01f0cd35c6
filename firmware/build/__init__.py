"""What builds a node or a gateway: needed while it starts, and given back then."""
