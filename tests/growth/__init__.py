"""How the work of every public way in grows with its input."""
