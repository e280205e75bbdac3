"""`make bench-data`: merging data files, against coverage.py."""
