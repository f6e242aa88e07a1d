"""The documentation site: generated pages, links, code blocks, tutorials."""
