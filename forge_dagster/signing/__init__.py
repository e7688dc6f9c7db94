"""Keys that sign, and what they sign: in-toto statements in DSSE envelopes."""
