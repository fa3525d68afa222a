"""Dynamic or static symmetric quantization of activations, per row or per tensor."""
