"""The twin room: what a node's records say under another configuration, and a plant in a box beside a live one."""
