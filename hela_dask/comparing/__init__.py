"""Groups of runs compared by the measures of their complete cells."""
