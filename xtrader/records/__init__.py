"""Records in bulk: batches of them, as tables, and back as objects."""
