"""What reports of coverage.py's kind cost."""
