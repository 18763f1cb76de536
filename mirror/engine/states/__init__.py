"""States and what they follow from: replay, rebuild, check, trust, root."""
