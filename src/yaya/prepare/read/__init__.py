"""Files, folders and hub datasets become documents. Begin with sources.py, which lists the readers."""
