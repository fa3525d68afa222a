"""int8 activations times signed 4-bit weights: scales per channel, or per group as integers or floats."""
