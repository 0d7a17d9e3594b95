"""Text and messages to token ids and back. Control tokens come from here alone, never out of a text."""
