"""A hook of mkdocs: pages that live elsewhere in the repository join the site, and links to them are mended.

In the repository a link such as `../weights/shapes/README.md` leads to the file; on the site the file is a page of
its own, made here, and the same link leads to that page.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PLACES = {  # where a file is in the repository, and where on the site
    "weights/shapes/README.md": "shapes.md",
    "weights/shapes/sheet.png": "sheet.png",
    "weights/toys/README.md": "toys.md",
    "weights/toys/sheet.png": "toys.png",
    "examples/shapes/README.md": "train-your-own.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(?=[)#])")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files from outside."""
    for source, page in PLACES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where files are on the site."""
    at_home = {site: source for source, site in PLACES.items()}.get(page.file.src_uri, f"docs/{page.file.src_uri}")

    def mend(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(at_home), link[1]))
        return PLACES.get(target, target.removeprefix("docs/") if target.startswith("docs/") else link[1])

    return LINK.sub(mend, markdown)
