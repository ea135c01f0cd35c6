"""The rollout room: one release for many nodes, in waves, which stops by itself before it does harm."""
