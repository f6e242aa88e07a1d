"""How arrays lie on disk: groups, pyramids, metadata, scratch, whole files.

Whatever writes here raises StorageError where the file system refuses it or is full.
"""
