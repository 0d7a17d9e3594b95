"""Words and sentences of the primer, by language."""
