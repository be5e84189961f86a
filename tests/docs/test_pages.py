"""The front door holds together: pages, links, commands, public names."""

import re
import tomllib

import pytest
import typer

import gen3d_tools
from gen3d_tools.cli.app import app
from tests.docs.shown import OTHERS, PAGES, ROOT, links, page_name

NAV = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=page_name)
def test_links_lead_to_files(page):
    assert [link for link in links(page) if not (page.parent / link).exists()] == []


def test_every_page_is_in_the_navigation_once():
    from_elsewhere = {"shapes.md", "toys.md", "train-your-own.md", "contributing.md", "changelog.md"}
    assert sorted(NAV) == sorted({page.name for page in PAGES if page.parent == ROOT / "docs"} | from_elsewhere)


def test_readme_and_start_page_lead_to_every_page():
    readme, start = links(ROOT / "README.md"), links(ROOT / "docs/index.md")
    pages = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {"index.md"}
    assert {f"docs/{name}" for name in pages} <= set(readme)
    assert pages <= set(start)


def test_readme_has_a_line_for_every_command():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in typer.main.get_command(app).commands if f"`gen3d {name}`" not in text] == []


def test_the_reference_has_every_public_name():
    listed = re.findall(r"^::: gen3d_tools\.(\w+)$", (ROOT / "docs/api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(set(gen3d_tools.__all__) - {"__version__"})


def test_readme_fits_on_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 90


def test_the_newest_version_in_the_changelog_is_this_one_and_has_a_date():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d[^\]]*)\](.*)$", text, flags=re.MULTILINE)
    assert versions[0][0] == gen3d_tools.__version__
    assert all(re.fullmatch(r" - \d{4}-\d\d-\d\d", date) for _, date in versions)


def test_the_map_for_contributors_has_the_lines_that_are_checked():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = text.split("| line | job |")[1].split("\n\n")[0].strip().splitlines()[1:]
    lines = [set(re.findall(r"`(\w+)(?:/|\.py)`", row.split("|")[1])) for row in rows]
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert lines == [set(layer.split(" | ")) for layer in settings["contracts"][0]["layers"]]
    inside = {contract["containers"][0].split(".")[1]: contract for contract in settings["contracts"][1:]}
    orders = dict(re.findall(r"^\| `(\w+)/` \| (.*) \|$", text.split("| folder | order |")[1], flags=re.MULTILINE))
    assert {name: re.findall(r"`(\w+)/?`", order) for name, order in orders.items()} == {
        name: [part for layer in contract["layers"] for part in layer.split(" | ")] for name, contract in inside.items()
    }
