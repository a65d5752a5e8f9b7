"""
A hook of MkDocs: puts llms.txt beside the site, a list of all pages for programs that read documentation (llmstxt.org).

Each page stands under the name of its folder with its title and its headings, so nothing has to be kept in step.
"""

import re
from pathlib import Path
from typing import Any

SECTIONS = {"": "Start here", "howto": "Guides", "reference": "Reference", "explanation": "Explanations"}


def index(folder: Path, name: str, summary: str) -> str:
    """The text of llms.txt for the pages in *folder*; links are relative to it, as MkDocs publishes the pages."""
    lines = [f"# {name}", "", f"> {summary}", ""]
    for section, title in SECTIONS.items():
        lines += [f"## {title}", ""]
        lines += [_line(path, folder) for path in sorted((folder / section).glob("*.md"))]
        lines.append("")
    return "\n".join(lines)


def _line(path: Path, folder: Path) -> str:
    text = path.read_text(encoding="utf-8")
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    headings = re.findall(r"^## (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    address = path.relative_to(folder).with_suffix("").as_posix()
    address = "./" if address == "index" else f"{address}/"
    return f"- [{title[1] if title else path.stem}]({address}): {'; '.join(headings) or _first_sentence(text)}"


def _first_sentence(text: str) -> str:
    """Of the text below the title; for a short page, which has no headings."""
    paragraph = " ".join(text.partition("\n")[2].strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.:])\s", re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", paragraph), maxsplit=1)[0]


def on_post_build(config: Any, **_: Any) -> None:
    """MkDocs calls this when the site is written."""
    text = index(Path(config["docs_dir"]), config["site_name"], config["site_description"])
    (Path(config["site_dir"]) / "llms.txt").write_text(text, encoding="utf-8")
