"""`make parity`: the same lines as coverage.py's ctrace, for the test suites of real packages."""
