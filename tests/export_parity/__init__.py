"""The same reports as coverage.py's, from the same data files."""
