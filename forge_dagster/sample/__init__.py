"""The generator of a fictional organisation's documents."""
