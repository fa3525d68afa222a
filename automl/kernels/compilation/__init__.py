"""Compiling kernels ahead of time and reading the binaries; no device is needed."""
