"""
What the web workers of one host share: a private folder with kernel locks, and a socket for each that answers questions.

The locks are POSIX record locks, one byte each of one file: the kernel drops them when their process dies, however it dies,
and a child that inherits the descriptor does not keep them. The sockets answer JSON from a thread of their own, so a
neighbour is answered also while the event loop stands still.
"""
