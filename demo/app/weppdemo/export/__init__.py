"""Ways out of a run: CSV, GeoJSON, KML, zip."""
