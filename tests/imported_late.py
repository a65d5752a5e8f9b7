"""A module with a context variable, which a worker imports only inside a call."""

import contextvars

TENANT = contextvars.ContextVar("TENANT", default="nobody")
