"""Planted dirt: what a real company's folders hold besides good documents, each with its label."""
