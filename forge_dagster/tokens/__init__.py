"""Tokenizer, token shards and the order in which a trainer reads them."""
