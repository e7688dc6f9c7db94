"""The training stages a recipe can name, one file each."""
