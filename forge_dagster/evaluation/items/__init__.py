"""What a model is asked about held-out documents: one kind of item a file."""
