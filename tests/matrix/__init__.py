"""`make matrix`: which servers, frameworks, queues and kinds of processes the agent is proven with, on which Python."""
