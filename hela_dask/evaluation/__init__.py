"""Labels compared with a truth: overlaps, surfaces, matched instances."""
