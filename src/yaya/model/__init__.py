"""The decoder, its attention, and model folders in and out."""
