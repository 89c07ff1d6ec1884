"""Two sets of runs on the same prompts, against each other: side A minus side B, which is the base."""
