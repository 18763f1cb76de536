"""Evidence files: all that is known about one record, and the check of it, without a store."""
