"""Benches: `make bench-<room>` runs one."""
