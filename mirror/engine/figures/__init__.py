"""The numbers behind the figures of a store, from its analysis copy."""
