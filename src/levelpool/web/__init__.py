"""Pieces for anybody's FastAPI app: token check, system endpoints, lifespan, cancel on disconnect, names of holders."""

from levelpool.extras import needed_for

with needed_for("levelpool.web"):
    from levelpool.web.auth import Identity, Role, require, require_admin, require_operator, require_scrape, require_viewer
    from levelpool.web.disconnect import cancel_on_disconnect
    from levelpool.web.holders import NameHolders
    from levelpool.web.lifespan import lifespan
    from levelpool.web.system import metrics_router, system_router

__all__ = [
    "Identity",
    "NameHolders",
    "Role",
    "cancel_on_disconnect",
    "lifespan",
    "metrics_router",
    "require",
    "require_admin",
    "require_operator",
    "require_scrape",
    "require_viewer",
    "system_router",
]
