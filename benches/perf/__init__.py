"""Whether `playtrace perf` finds a slowdown that was planted, and none where there is none."""
