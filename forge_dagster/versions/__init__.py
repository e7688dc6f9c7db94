"""Versions of artifacts kept elsewhere: DVC carries the bytes, our records say whether they are right."""
