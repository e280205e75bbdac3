"""The state of a run: one JSON document per concern, edited under a lock."""
