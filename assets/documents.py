"""From the sources' files to the training text: raw, clean, split, corpus; and the data made from it."""
