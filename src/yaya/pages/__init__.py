"""What every page shares: layout, charts, the switch of language, coloured excerpts."""
