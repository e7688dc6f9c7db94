"""The one door to what TRL calls experimental and changes without notice; open for one version of TRL."""

import trl
from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

VERSION = "1.16."

if not trl.__version__.startswith(VERSION):
    raise ImportError(f"TRL {trl.__version__}: its experimental part is known as of {VERSION}x; look at it anew")

__all__ = ["OnlineDPOConfig", "OnlineDPOTrainer"]
