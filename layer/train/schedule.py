"""The learning rate of all that is trained here."""


def rate_at(step: int, steps: int, warmup: int, decay: float) -> float:
    """Return the share of the learning rate at a step: linear warm-up, a plateau, and linear to 2 % at the end.

    ``decay`` is the share of all ``steps`` in which it falls.
    """
    return min(1.0, (step + 1) / warmup, max(0.02, (steps - step) / (decay * steps)))
