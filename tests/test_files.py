import errno
import os
import stat
from pathlib import Path

import pytest

from gen3d_tools import files, staging
from gen3d_tools.errors import Gen3DError, InputError
from gen3d_tools.files import atomic_files, atomic_path, check_writable
from gen3d_tools.ownership import MARK


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
        assert not (tmp_path / "picture.png").exists()
    assert (tmp_path / "picture.png").read_bytes() == b"whole"
    assert names_in(tmp_path) == ["picture.png"]


def test_the_temporary_name_is_the_final_one_in_a_hidden_folder_beside_it(tmp_path):
    with atomic_path(tmp_path / "video.mp4") as temporary:
        temporary.touch()
        assert temporary.name == "video.mp4"
        [hidden] = tmp_path.iterdir()
        assert hidden in temporary.parents
        assert hidden.name.startswith(".gen3d-")


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "ü" * 125 + ".png"], ids=["letters", "umlauts"])
def test_the_longest_name_that_the_disk_takes_can_be_written(tmp_path, name):
    with atomic_path(tmp_path / name) as temporary:
        temporary.touch()
    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a" * 252 + ".png", "has 256 bytes"),
        ("ü" * 126 + ".png", "has 256 bytes"),
        ("a" * 300 + "/x.png", "has 300 bytes"),
        ("a/" * 2200 + "x.png", "is too long|bytes with what is needed"),
        ("x\0.png", "null character"),
        (".", "not a name for an output"),
        ("..", "not a name for an output"),
        ("x/..", "not a name for an output"),
    ],
)
def test_a_name_that_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch, name, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        check_writable(Path(name))
    assert len(str(caught.value)) < 250
    assert names_in(tmp_path) == []


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
    with pytest.raises(InputError, match="add overwrite=True"), atomic_path(path):
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
    (path / "README.md").touch()
    with atomic_path(path, overwrite=True) as temporary:
        temporary.mkdir()
        (temporary / "config.json").touch()
    assert names_in(path) == ["config.json"]
    assert names_in(tmp_path) == ["model"]


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


@pytest.mark.parametrize("exchanges", [True, False])
@pytest.mark.parametrize("refused", [1, 2, 3])
def test_a_refused_step_keeps_the_old_outputs(tmp_path, monkeypatch, refused, exchanges):
    """Of two files and a folder, at each of the three; and where the system cannot exchange two names."""
    if not exchanges:
        monkeypatch.setattr(staging, "_exchange", lambda *_: False)
    paths = [tmp_path / name for name in ("a.obj", "a.mtl", "frames")]
    write_all(paths)
    advance, calls = staging._advance, iter(range(1, 10))
    monkeypatch.setattr(
        staging, "_advance", lambda *step: refuse(errno.ENOSPC)() if next(calls) == refused else advance(*step)
    )
    with pytest.raises(Gen3DError, match="the disk is full"):
        write_all(paths, text="newer")
    assert [contents(path) for path in paths] == ["new"] * 3
    assert names_in(tmp_path) == ["a.mtl", "a.obj", "frames"]


def contents(path: Path) -> str:
    return (path / "00000.png" if path.is_dir() else path).read_text().removesuffix(f" {MARK}")


def write_all(paths: list[Path], failure: type[BaseException] | None = None, text: str = "new") -> None:
    with atomic_files(paths, overwrite=True) as temporary:
        for path in temporary:
            if not path.suffix:
                path.mkdir()
            (path if path.suffix else path / "00000.png").write_text(text if path.suffix else f"{text} {MARK}")
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


def test_what_a_link_points_to_is_replaced_and_the_link_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    target, link = tmp_path / "elsewhere/x.png", tmp_path / "link.png"
    target.write_text("old")
    link.symlink_to(target)
    with pytest.raises(InputError, match="exists already"):
        check_writable(link)
    with atomic_path(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert (names_in(tmp_path), names_in(target.parent)) == (["elsewhere", "link.png"], ["x.png"])


def test_a_link_to_nothing_is_an_output_that_exists(tmp_path):
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "later.png")
    with pytest.raises(InputError, match="exists already"), atomic_path(link):
        pytest.fail("the block ran")
    with atomic_path(link, overwrite=True) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "later.png").read_text() == "new"


def test_links_that_lead_nowhere_are_refused_before_any_work(tmp_path):
    (tmp_path / "round.png").symlink_to("round.png")
    (tmp_path / "far.png").symlink_to("no/such/folder/x.png")
    for name, words in (("round.png", "in a circle"), ("far.png", "whose folder is not there")):
        with pytest.raises(InputError, match=words):
            check_writable(tmp_path / name, overwrite=True)


def test_a_link_to_a_folder_is_a_folder_before_any_work(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "link.png").symlink_to("model")
    with pytest.raises(InputError, match="is a folder, the output is a file"):
        check_writable(tmp_path / "link.png", overwrite=True, kind="file")
    with atomic_path(tmp_path / "link.png", overwrite=True) as temporary:
        temporary.mkdir()
        (temporary / "00000.png").touch()
    assert (tmp_path / "link.png").is_symlink()
    assert names_in(tmp_path / "model") == ["00000.png"]


def test_what_is_no_file_is_not_replaced_by_one(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match="no regular file"):
        check_writable(tmp_path / "pipe.png", overwrite=True)


@pytest.mark.parametrize("names", [["x.png"], ["x.png", "y.png"], ["frames"]])
def test_permissions_stay(tmp_path, names):
    paths = [tmp_path / name for name in names]
    write_all(paths)
    kept = [path if path.suffix else path / "00000.png" for path in paths]
    for path in kept:
        path.chmod(0o400)
    write_all(paths, text="newer")
    assert [(stat.S_IMODE(path.stat().st_mode), contents(path)) for path in kept] == [(0o400, "newer")] * len(kept)


def test_folders_made_for_an_output_that_fails_are_removed_again(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "a/b/x.png", KeyboardInterrupt)
    assert names_in(tmp_path) == []


def test_contents_are_on_the_disk_before_names_are(tmp_path, monkeypatch):
    order = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: order.append(stat.S_IFMT(os.fstat(handle).st_mode)) or sync(handle))
    monkeypatch.setattr(os, "replace", lambda *ends: order.append("rename") or replace(*ends))
    with atomic_path(tmp_path / "x.png") as temporary:
        temporary.touch()
    assert order == [stat.S_IFREG, "rename", stat.S_IFDIR]


def test_whoever_keeps_a_record_hears_of_whole_outputs_before_they_have_their_names(tmp_path):
    heard = []
    with files.told_of_outputs(lambda path, place: heard.append((path.name, place.read_text(), path.exists()))):
        write_all([tmp_path / "a.obj", tmp_path / "a.mtl"])
        with pytest.raises(RuntimeError):
            write_all([tmp_path / "b.obj"], RuntimeError)
        with atomic_path(tmp_path / "outer.txt") as place:
            with atomic_path(place.with_name("inner.txt")) as inner:
                inner.write_text("part")
            place.write_text("whole")
    assert heard == [("a.obj", "new", False), ("a.mtl", "new", False), ("outer.txt", "whole", False)]


@pytest.mark.parametrize("name", ["x.png", "model"])
def test_what_others_write_in_the_meantime_stays(tmp_path, name):
    path = tmp_path / name

    def write(place: Path, text: str) -> None:
        if not place.suffix:
            place.mkdir()
            place = place / "thesis.tex"
        place.write_text(text)

    def write_both() -> None:
        with atomic_path(path) as temporary:
            write(temporary, "ours")
            write(path, "somebody else's")

    with pytest.raises(InputError, match="exists already"):
        write_both()
    kept = path if path.suffix else path / "thesis.tex"
    assert kept.read_text() == "somebody else's"
    assert names_in(tmp_path) == [name]
