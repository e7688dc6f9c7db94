"""Where and with what assets run."""
