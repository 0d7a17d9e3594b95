"""What happens to one document: FILTERS in filters.py, in order, and what they count on."""
