"""
Connections to a database server: what it allows, and the pools of this process, which share one budget and keep an account.

Each web worker has its part of what the server allows (`levelpool.sizing`), and its pools together never hold more than that
part, however many engines were made. A pool counts from its first connection until it is disposed.
"""
