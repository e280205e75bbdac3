//! coverage.py's world: data files and configuration files
