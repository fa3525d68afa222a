"""Two-dimensional convolutions of 8-bit codes, accumulated in int32, with a fused epilogue."""
