"""The same statements, exclusions, regions and symbols as coverage.py's analysis and CPython's compiler."""
