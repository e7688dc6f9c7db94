"""Model architectures by AutoConfig name and their initialisation."""
