"""Raw text becomes a corpus: sources -> documents -> clean -> split. Also the primer, which needs no sources."""
