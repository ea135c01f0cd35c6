"""The chips, a file a family: needed to build a node, and given back then."""
