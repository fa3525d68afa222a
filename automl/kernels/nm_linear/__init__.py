"""Products with N:M sparse weights, stored as their values and where they lie."""
