"""Products of 1- to 8-bit codes from bit planes: AND or XOR, and a population count."""
