"""The attribution stress: real servers, eight profiles at once, and line sets that are known in advance."""
