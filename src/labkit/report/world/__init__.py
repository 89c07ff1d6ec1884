"""Reports of the world-cities experiment: what fine-tuned models gain on new cities, and how their tasks help each other."""
