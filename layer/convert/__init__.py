"""From what the hub or a user has of a reranker, whatever its architecture, to a model directory for a function."""
