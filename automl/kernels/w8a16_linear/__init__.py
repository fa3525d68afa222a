"""Float activations times 8-bit weights with a scale per group of inputs."""
