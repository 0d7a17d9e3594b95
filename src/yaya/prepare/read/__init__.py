"""Files, folders and hub datasets become documents: sources.py says which reader reads what."""
