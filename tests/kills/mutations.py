"""Agents with one thing wrong that only a kill shows."""
MUTATIONS = ()
