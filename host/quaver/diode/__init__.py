"""Records carried one way: over UDP without a return path, or as signed bundles on a medium."""
