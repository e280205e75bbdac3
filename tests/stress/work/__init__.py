"""What the stress app does, and all that is measured of it. Copied away, with generated modules beside it, to be run.

Everything here is deterministic: which lines a request executes depends on its profile, key and features alone, never
on who came before it or runs beside it.
"""
