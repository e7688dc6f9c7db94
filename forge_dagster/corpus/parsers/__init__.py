"""One parser a format: bytes of a document in, title and text out."""
