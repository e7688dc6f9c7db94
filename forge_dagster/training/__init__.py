"""The pre-training loop: optimizer, schedule, checkpoints."""
