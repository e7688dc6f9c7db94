"""Erasing documents: a plan with the cost of each option, a signed exclusion list, a probe, a certificate."""
