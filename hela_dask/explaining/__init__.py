"""Pictures of every step that led to the outlines of one cell."""
