"""Warm-up, stable, decay: the learning rate as a share of its peak (Hu et al. 2024, MiniCPM, section 4)."""


def warmup_stable_decay(step: int, steps: int, *, warmup_share: float, decay_share: float) -> float:
    """Return the multiplier of step `step` of `steps` (from 0): linear up, flat at 1, linear down to 0.

    The first step already learns and the last step still does; shares are of `steps`.
    """
    warmup, decay = warmup_share * steps, decay_share * steps
    return min(1.0, (step + 1) / max(warmup, 1.0), (steps - step) / max(decay, 1.0))
