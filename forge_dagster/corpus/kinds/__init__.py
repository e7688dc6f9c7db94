"""One file a kind of source: how its documents are reached."""
