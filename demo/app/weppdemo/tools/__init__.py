"""Programs that jobs start as subprocesses."""
