"""From raw files to the training text: snapshot, parse, deduplicate, split, decontaminate."""
