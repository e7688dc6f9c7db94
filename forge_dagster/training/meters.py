"""What a training took of the machine: peak memory."""

import sys


def peak_memory(device: str) -> int:
    """Return the most bytes this process has held: resident memory on CPU, allocated memory on a GPU."""
    if device == "cuda":
        import torch

        return int(torch.cuda.max_memory_allocated())
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
