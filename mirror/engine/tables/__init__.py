"""The data of a store as tables for analysis."""
