"""int8 activations times int8 weights, accumulated in int32, with a fused epilogue."""
