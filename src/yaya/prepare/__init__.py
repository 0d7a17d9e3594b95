"""Raw text becomes a corpus: read -> clean -> dedup -> split -> mix -> augment -> write. Begin with corpus.py."""
