"""History of a record and of a store: what changed when, by known time."""
