"""Variation and survival operators: pure functions on code arrays, thin classes with settings."""
