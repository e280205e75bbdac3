"""Daily weather by one of several methods."""
