"""Benchmarks made from documents, and the scorecard of a checkpoint."""
