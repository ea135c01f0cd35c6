"""What crosses a wire between a node and its readers; imported by both sides, pure, without I/O."""
