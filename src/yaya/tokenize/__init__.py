"""Text and messages to token ids and back. Control tokens are made only here, never parsed from text."""
