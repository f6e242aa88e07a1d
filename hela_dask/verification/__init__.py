"""Every file of a store and a run compared with what was written."""
