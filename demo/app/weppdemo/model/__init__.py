"""Runoff, erosion, routing and ash: pure functions of their inputs."""
