"""Wire formats: one small module each, which parses its body into a ``RankRequest`` and renders a ``Ranking``."""
