"""What all pages share: layout, charts, the language switch, coloured excerpts."""
