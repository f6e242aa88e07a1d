"""Small text files (JSON, TOML, YAML), read with the shape that they must have."""
