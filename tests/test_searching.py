"""Every file below a folder: found, or the reason why not is said."""

import errno
import os

import pytest

from gen3d_tools.errors import InputError, NotFoundError
from gen3d_tools.media.photos import listed_photos, unread_photos
from gen3d_tools.searching import files_below, is_hidden, passed_over
from gen3d_tools.training.data.containers import open_container
from gen3d_tools.workflows.evaluate.meshes import meshes_in


@pytest.fixture
def folder(tmp_path):
    """A folder with photos, meshes and hidden things at several depths."""
    names = (
        "b.PNG",
        "a.jpg",
        "deep/er/c.png",
        "deep/m.glb",
        ".hidden/d.png",
        "__MACOSX/e.png",
        "deep/.f.png",
        "words.txt",
    )
    for name in names:
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path / "given"


SEARCHES = {
    "photos": lambda folder: listed_photos([folder]),
    "meshes": meshes_in,
    "pictures": lambda folder: open_container(folder).names(),
}


def test_every_file_is_found_and_hidden_ones_are_not(folder):
    assert sorted(files_below(folder)) == ["a.jpg", "b.PNG", "deep/er/c.png", "deep/m.glb", "words.txt"]
    assert is_hidden("a/.git/b.png")
    assert not is_hidden("a.b/c.png")
    assert listed_photos([folder]) == [folder / "a.jpg", folder / "b.PNG", folder / "deep/er/c.png"]
    assert meshes_in(folder) == {"deep/m": folder / "deep/m.glb"}


def test_an_earlier_output_is_not_searched(folder):
    assert sorted(files_below(folder, but=folder / "deep")) == ["a.jpg", "b.PNG", "words.txt"]
    (folder / "linked").symlink_to(folder / "deep")
    assert sorted(files_below(folder, but=folder / "deep")) == ["a.jpg", "b.PNG", "words.txt"]
    with pytest.raises(NotFoundError, match="holds no photos"):
        listed_photos([folder / "deep"], but=folder / "deep")


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_folder_that_is_a_link_is_named_by_every_search(folder, tmp_path, search):
    (tmp_path / "elsewhere").mkdir()
    (folder / ".hidden" / "link").symlink_to(tmp_path / "elsewhere")
    search(folder)
    (folder / "deep" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="deep/link is a link to a folder, and links of folders are not followed"):
        search(folder)


@pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES)
def test_a_folder_that_cannot_be_read_is_named_by_every_search(folder, monkeypatch, search):
    scan = os.scandir

    def closed(path):
        if str(path).endswith("er"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InputError, match=r"deep/er cannot be read \(Permission denied\); make it readable, or remove"):
        search(folder)


def test_a_link_that_leads_nowhere_is_a_file(folder):
    (folder / "lost.png").symlink_to(folder / "nowhere.png")
    assert folder / "lost.png" in listed_photos([folder])
    assert "lost.png" in open_container(folder).names()


def test_kinds_of_pictures_that_are_not_read_are_named(folder):
    for name in ("a.GIF", "deep/b.avif", "deep/c.avif", ".d.gif"):
        (folder / name).write_bytes(b"")
    names = open_container(folder).names()
    told = "passed over, as they are not read: 2 .avif, 1 .gif; save them as .png or .jpg"
    assert passed_over(names, (".png", ".jpg")) == told
    assert passed_over(names, (".png", ".jpg", ".gif", ".avif")) == ""
    assert list(unread_photos([folder, folder / "a.jpg"])) == [f"{folder}: {told}"]
    assert list(unread_photos([folder], but=folder / "deep")) == [f"{folder}: {told.replace('2 .avif, ', '')}"]
