"""The process lane: CPU-bound work in worker processes that can be killed, limited and replaced."""
