"""Float activations times 4-bit weights with a scale per group of inputs."""
