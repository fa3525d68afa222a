"""What the weight-only products share: formats, definition, one Triton kernel, one CPU twin; 4 and 8 bits."""
