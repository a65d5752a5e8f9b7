"""Third-party JavaScript: found, copied, nothing stale left."""

import sys

from levelpool.service import assets


def test_folder_holds_exactly_what_the_page_uses(tmp_path):
    """A file of an earlier version does not stay behind."""
    for source in assets.FILES.values():
        (tmp_path / "modules" / source).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "modules" / source).write_text(source)
    vendor = tmp_path / "vendor"
    vendor.mkdir()
    (vendor / "old.js").write_text("old")

    assets.copy_files(tmp_path / "modules", vendor)

    assert {each.name for each in vendor.iterdir()} == set(assets.FILES)


def test_python_without_system_node_uses_its_own(tmp_path, monkeypatch):
    """Without Node on the path, the npm beside the running Python is taken."""
    (tmp_path / "npm").touch()
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))

    assert assets.npm_command() == [str(tmp_path / "npm")]


def test_missing_folder_argument_is_told(capsys):
    """Called wrongly, it says how."""
    assert assets.main([]) == 2
    assert "usage" in capsys.readouterr().err
