"""Fake `/proc` and `/sys/fs/cgroup` trees."""

from pathlib import Path

import pytest


class Tree:
    """A fake root folder; each step adds to it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._mounts: list[str] = []
        self._paths: list[str] = []

    def write(self, name: str, text: str) -> Path:
        """Write *text* to a file, named from the root of the tree."""
        file = self.root / name.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return file

    def mount_v2(self, path: str, *, point: str = "/sys/fs/cgroup", root: str = "/") -> None:
        """A cgroup v2 hierarchy; our own group is *path*."""
        self._add(f"31 23 0:28 {root} {point} rw - cgroup2 cgroup2 rw", f"0::{path}", point, root, path)

    def mount_v1(self, controllers: str, path: str, *, root: str = "/") -> None:
        """A cgroup v1 hierarchy of *controllers*; our own group is *path*."""
        point = f"/sys/fs/cgroup/{controllers}"
        line = f"32 31 0:29 {root} {point} rw - cgroup cgroup rw,{controllers}"
        self._add(line, f"{len(self._paths) + 1}:{controllers}:{path}", point, root, path)

    def _add(self, mount: str, membership: str, point: str, root: str, path: str) -> None:
        self._mounts.append(mount)
        self._paths.append(membership)
        self.write("proc/self/mountinfo", "\n".join(self._mounts))
        self.write("proc/self/cgroup", "\n".join(self._paths))
        below = path.removeprefix(root.rstrip("/")) if path.startswith(root) else ""
        (self.root / f"{point}{below}".lstrip("/")).mkdir(parents=True, exist_ok=True)


@pytest.fixture
def tree(tmp_path):
    """An empty fake root."""
    return Tree(tmp_path)
