"""What the container and the host allow this process to use."""
