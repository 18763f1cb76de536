"""Harvesting: lists of records by their last change, in pages, as OAI-PMH 2.0 has them."""
