"""What coverage.py says a profile executes, found without the player and without the agent."""
