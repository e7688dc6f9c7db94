"""The forge command line."""
