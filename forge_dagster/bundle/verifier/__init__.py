"""Checks a bundle with the standard library and `cryptography`; travels in it, shares no code with its writer."""
