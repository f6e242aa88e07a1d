"""How arrays lie on disk: groups, pyramids, metadata, scratch, whole files."""
