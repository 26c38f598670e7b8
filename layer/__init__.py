"""Everything baked into the Lambda layers, and how it is made. Never shipped itself."""
