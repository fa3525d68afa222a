"""Products with weights that are zero outside of a list of dense blocks."""
