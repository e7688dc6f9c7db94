"""Lineage to the row: from a document to every release it reached and back, from records and Parquet files."""
