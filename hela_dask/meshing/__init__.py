"""Triangle meshes of labelled cells and nuclei: reading, building, writing."""
