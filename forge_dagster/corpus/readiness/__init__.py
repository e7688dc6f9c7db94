"""The readiness report: what the documents are, what they support, and what to mend first."""
