"""What runs in the measured processes, under each Python."""
