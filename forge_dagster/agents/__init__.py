"""What programs that act by themselves may do: quotas, what they spent, proposals, sealed evaluations."""
