"""Pieces for anybody's FastAPI app: token check, system endpoints, lifespan, cancel on disconnect."""
