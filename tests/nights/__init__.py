"""The generated workflows, run: each job's steps in order, with a local store for artifacts and a `gh` for it."""
