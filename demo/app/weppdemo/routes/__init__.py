"""HTTP routes of a run, one blueprint per concern."""
