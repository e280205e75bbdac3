"""End-to-end tests: real gunicorn, RQ and Redis, and the built program."""
