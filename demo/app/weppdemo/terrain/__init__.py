"""Elevation grids, delineation, channel networks."""
