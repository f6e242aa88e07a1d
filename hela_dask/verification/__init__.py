"""Every file of a store and a run compared with its record."""
