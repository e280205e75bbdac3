"""What strangers' headers cost a real server, and those who come without any."""
