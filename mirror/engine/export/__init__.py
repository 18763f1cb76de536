"""Writing bundles as BagIt bags, whole or as increments over a base."""
