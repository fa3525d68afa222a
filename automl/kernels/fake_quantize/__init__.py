"""Quantize-dequantize in one pass, with a straight-through gradient."""
