"""How long it takes to find out what could run in sources."""
