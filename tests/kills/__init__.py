"""Kills at random moments: what was executed before one is in the merged data, and nothing else."""
