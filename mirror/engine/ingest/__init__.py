"""Reading bundles, verifying them, and merging them into the store."""
