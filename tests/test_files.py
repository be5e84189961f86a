import errno
import os
from pathlib import Path

import pytest

from gen3d_tools import files
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.files import atomic_files, atomic_path, check_writable


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def refuse(code: int):
    def raise_os_error(*_args, **_options):
        raise OSError(code, os.strerror(code))

    return raise_os_error


def write_half(path: Path, failure: BaseException | type[BaseException], *, overwrite: bool = False) -> None:
    with atomic_path(path, overwrite=overwrite) as temporary:
        if path.suffix:
            temporary.write_bytes(b"half")
        else:
            temporary.mkdir()
            (temporary / "0000.png").touch()
        raise failure


def test_the_file_appears_whole_and_alone(tmp_path):
    with atomic_path(tmp_path / "picture.png") as temporary:
        temporary.write_bytes(b"whole")
        assert names_in(tmp_path) == [temporary.name]
    assert (tmp_path / "picture.png").read_bytes() == b"whole"
    assert names_in(tmp_path) == ["picture.png"]


def test_the_temporary_name_keeps_the_suffix_and_hides(tmp_path):
    with atomic_path(tmp_path / "video.mp4") as temporary:
        temporary.touch()
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".")
        assert temporary.parent == tmp_path


def test_missing_folders_are_made(tmp_path):
    with atomic_path(tmp_path / "a" / "b" / "mesh.ply") as temporary:
        temporary.touch()
    assert (tmp_path / "a" / "b" / "mesh.ply").is_file()


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["mesh.glb", "frames"], ids=["file", "folder"])
def test_an_interrupted_write_leaves_nothing(tmp_path, name, stop):
    with pytest.raises(stop):
        write_half(tmp_path / name, stop)
    assert names_in(tmp_path) == []


def test_an_existing_file_is_refused_before_any_work(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("old")
    with pytest.raises(InputError, match="--overwrite"), atomic_path(path):
        pytest.fail("the block ran")
    assert path.read_text() == "old"


def test_overwrite_keeps_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("old")
    with atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_failed_overwrite_keeps_the_old_file(tmp_path):
    path = tmp_path / "mesh.obj"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt, overwrite=True)
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["mesh.obj"]


def test_a_folder_replaces_a_folder_with_all_its_files(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text('{"format": "gen3d-tools"}')
    (path / "stale.json").touch()
    with atomic_path(path, overwrite=True) as temporary:
        temporary.mkdir()
        (temporary / "config.json").touch()
    assert names_in(path) == ["config.json"]
    assert names_in(tmp_path) == ["model"]


OURS = {
    "a run": {"run.json": '{"versions": {"gen3d_tools": "0.1"}}', "mesh.glb": ""},
    "a model": {"config.json": '{"format": "gen3d-tools", "version": 1}', "model.safetensors": ""},
    "a result": {"config.json": '{"format": "gen3d-tools result"}', "delta.safetensors": ""},
    "cameras": {"cameras.txt": "# lenses", "images.txt": "# poses", "points3D.txt": "# none\n"},
    "frames": {"00001.png": "", "00002.png": ""},
    "an empty folder": {},
}
FOREIGN = {
    "a thesis": {"thesis.tex": "years of work"},
    "another program's config": {"config.json": '{"format": "webpack"}'},
    "a config without a format": {"config.json": '{"hidden_size": 768, "model_type": "bert"}'},
    "a broken config": {"config.json": "{"},
    "a config that is no object": {"config.json": "[" * 100_000},
    "another program's run": {"run.json": '{"versions": ["gen3d_tools"]}', "config.json": "3"},
    "cameras with points": {"cameras.txt": "", "images.txt": "", "points3D.txt": "# some\n1 0 0 0"},
    "cameras among pictures": {"cameras.txt": "", "images.txt": "", "points3D.txt": "", "photo.jpg": ""},
    "named pictures": {"00001.png": "", "holiday.png": ""},
}


def fill(folder, contents):
    folder.mkdir()
    for name, text in contents.items():
        (folder / name).write_text(text)


@pytest.mark.parametrize("what", OURS)
def test_a_folder_of_our_own_may_be_replaced(tmp_path, what):
    target = tmp_path / "out"
    fill(target, OURS[what])
    with atomic_path(target, overwrite=True) as temporary:
        temporary.mkdir()
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("what", FOREIGN)
def test_a_folder_with_foreign_files_is_never_replaced(tmp_path, what):
    target = tmp_path / "out"
    fill(target, FOREIGN[what])
    with pytest.raises(InputError, match="holds more than an earlier output"), atomic_path(target, overwrite=True):
        pytest.fail("the block ran")
    assert {path.name: path.read_text() for path in target.iterdir()} == FOREIGN[what]


@pytest.mark.parametrize("folder_first", [True, False])
def test_file_and_folder_never_replace_each_other(tmp_path, folder_first):
    target = tmp_path / "out"
    target.mkdir() if folder_first else target.write_text("kept")
    with pytest.raises(InputError, match="give another name"), atomic_path(target, overwrite=True) as temporary:
        temporary.write_text("new") if folder_first else temporary.mkdir()
    assert [child.name for child in tmp_path.iterdir()] == ["out"]
    assert target.is_dir() == folder_first


def test_a_folder_without_write_permission_is_said_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(Gen3DError, match="not a writable folder"), atomic_path(tmp_path / "mesh.ply"):
        pytest.fail("the block ran")


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(Gen3DError, match="not a writable folder"):
        check_writable(tmp_path / "file" / "deep" / "mesh.ply")


def test_a_place_that_is_free_is_fine(tmp_path):
    check_writable(tmp_path / "not" / "yet" / "there.png")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EROFS, "cannot write"),
        (errno.EIO, r"writing .* failed"),
    ],
)
def test_a_refusal_of_the_system_becomes_one_line_and_leaves_nothing(tmp_path, code, message):
    with pytest.raises(Gen3DError, match=message) as caught:
        write_half(tmp_path / "video.mp4", OSError(code, os.strerror(code)))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "video.mp4") in str(caught.value)
    assert names_in(tmp_path) == []


def test_a_refused_rename_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "mesh.ply"
    path.write_text("old")
    monkeypatch.setattr(files.os, "replace", refuse(errno.EACCES))
    with pytest.raises(Gen3DError, match="cannot write"), atomic_path(path, overwrite=True) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["mesh.ply"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(Gen3DError, match=r"writing .* failed"), atomic_path(tmp_path / "mesh.ply"):
        pass


@pytest.mark.parametrize("refused", [1, 2], ids=["stepping aside", "taking the place"])
def test_a_refused_folder_keeps_the_old_folder(tmp_path, monkeypatch, refused):
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text('{"format": "gen3d-tools"}')
    calls = iter(range(1, 10))
    rename = os.replace
    monkeypatch.setattr(
        files.os, "replace", lambda *ends: refuse(errno.ENOSPC)() if next(calls) == refused else rename(*ends)
    )
    with pytest.raises(Gen3DError, match="the disk is full"), atomic_path(path, overwrite=True) as temporary:
        temporary.mkdir()
    assert names_in(path) == ["config.json"]
    assert names_in(tmp_path) == ["model"]


def write_all(paths: list[Path], failure: type[BaseException] | None = None) -> None:
    with atomic_files(paths, overwrite=True) as temporary:
        for path in temporary:
            path.write_text("new")
        if failure is not None:
            raise failure


def test_files_that_belong_together_appear_together(tmp_path):
    paths = [tmp_path / "chair.obj", tmp_path / "chair.mtl"]
    with atomic_files(paths) as temporary:
        for path in temporary:
            path.write_text("new")
        assert not any(path.exists() for path in paths)
    assert names_in(tmp_path) == ["chair.mtl", "chair.obj"]
    with pytest.raises(InputError, match=r"chair\.obj exists already"), atomic_files(paths):
        pass
    with atomic_files(paths, overwrite=True) as temporary:
        for path in temporary:
            path.write_text("newer")
    assert [path.read_text() for path in paths] == ["newer", "newer"]
    assert names_in(tmp_path) == ["chair.mtl", "chair.obj"]


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_files_that_belong_together_leave_nothing_behind_when_the_work_fails(tmp_path, failure):
    with pytest.raises(failure):
        write_all([tmp_path / "a.obj", tmp_path / "a.mtl"], failure)
    assert names_in(tmp_path) == []


def test_when_one_of_the_files_cannot_get_its_name_the_old_ones_are_back(tmp_path, monkeypatch):
    paths = [tmp_path / "a.obj", tmp_path / "a.mtl", tmp_path / "a.png"]
    paths[0].write_text("old")
    paths[1].write_text("old")
    rename = os.replace

    def refuse_first(source, target):
        if Path(target) == paths[0] and not str(source).endswith(".old"):
            raise OSError(errno.ENOSPC, "full")
        rename(source, target)

    monkeypatch.setattr(files.os, "replace", refuse_first)
    with pytest.raises(Gen3DError, match="the disk is full"):
        write_all(paths)
    assert names_in(tmp_path) == ["a.mtl", "a.obj"]
    assert [path.read_text() for path in paths[:2]] == ["old", "old"]
