"""What a blank node runs until it is enrolled, and an enrolled one in the first seconds after power-on."""
