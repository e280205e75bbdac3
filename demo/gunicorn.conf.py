"""What every web server of a stack is started with, whatever its command line says."""

# The control socket lies in the home directory unless told otherwise: stacks would fight over it, and
# leave it behind.
control_socket_disable = True
