"""The queues: each module says how its workers come to do `jobs.job`, and has `send`, which asks for one."""
