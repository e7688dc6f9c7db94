"""One file a kind of export: how a release becomes files of another runtime, and how that runtime computes them."""
