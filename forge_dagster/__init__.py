"""From a folder of documents to a released, verified language model."""
