"""Review and correction of a run in napari: the plug-in, its widget, and the session without Qt."""
