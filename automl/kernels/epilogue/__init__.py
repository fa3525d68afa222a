"""What every linear kernel does to its accumulators: ``activation(product + bias + residual)``."""
