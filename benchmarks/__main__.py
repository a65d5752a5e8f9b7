"""`python -m benchmarks [NAME ...]` runs the named benchmarks, or all: every module here that has a `main`."""

import importlib
import pkgutil
import sys
from pathlib import Path


def names() -> list[str]:
    """The modules of this folder, in order."""
    return [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]) if module.name != "__main__"]


def run(wanted: list[str]) -> int:
    """Run each wanted benchmark; an unknown name is said, with those that exist."""
    unknown = sorted(set(wanted) - set(names()))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    for name in wanted or names():
        module = importlib.import_module(f"benchmarks.{name}")
        if hasattr(module, "main"):
            print(f"== {name}: {(module.__doc__ or '').strip().splitlines()[0]}", flush=True)
            module.main()
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
