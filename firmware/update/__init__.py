"""What takes an update (protocols/release.md): read from flash when one comes or is under way, and given back after."""
