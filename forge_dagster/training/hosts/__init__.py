"""Who starts the hosts of a training: one file a kind."""
