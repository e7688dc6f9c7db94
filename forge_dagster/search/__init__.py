"""Studies: trials of a recipe's settings on small proxies, and the recipe that they propose."""
