"""Graph surgery and int8: from a BERT-like checkpoint or export to a model directory that a function can load."""
