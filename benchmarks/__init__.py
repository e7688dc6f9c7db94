"""Ratio tables against the bare libraries, in one run; absolute times mean little on shared machines."""
