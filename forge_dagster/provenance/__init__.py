"""Artifacts, their records, the ledger and the verifier."""
