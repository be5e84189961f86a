"""Which folders may be replaced: those that hold nothing but what an earlier run made."""

import json
from hashlib import sha256

import pytest

from gen3d_tools.errors import InputError
from gen3d_tools.files import atomic_path
from gen3d_tools.ownership import MARK


def record_of(**files):
    """A record of these files and their contents."""
    listed = {name: {"bytes": len(text), "sha256": sha256(text.encode()).hexdigest()} for name, text in files.items()}
    return json.dumps({"versions": {"gen3d_tools": "0.2"}, "outputs": [], "files": listed})


OLD_RECORD = '{"versions": {"gen3d_tools": "0.1"}, "outputs": ["out/mesh.glb"]}'
MODEL = '{"format": "gen3d-tools", "version": 1}'
RESULT = '{"format": "gen3d-tools result"}'
OURS = {
    "a run": {"run.json": record_of(mesh="x"), "mesh": "x"},
    "two runs": {"run.json": record_of(mesh="x"), "mesh": "x", "run-2.json": record_of(sheet="y"), "sheet": "y"},
    "a run of version 0.1": {"run.json": OLD_RECORD, "mesh.glb": "x"},
    "a run that was killed": {
        ".run.json.log": record_of()
        + '\n{"name": "a", "bytes": 0, "sha256": "'
        + sha256(b"").hexdigest()
        + '"}\n{"name": "cut',
        "a": "",
    },
    "a model": {"config.json": MODEL, "model.safetensors": "", "README.md": "card"},
    "a result": {"config.json": RESULT, "difference.safetensors": "", "photo-2.png": ""},
    "cameras": dict.fromkeys(("cameras.txt", "images.txt", "points3D.txt"), f"# {MARK}\n1"),
    "frames": {"00000.png": MARK, "00001.png": MARK},
    "an empty folder": {},
}
FOREIGN = {
    "a thesis beside a run": {"run.json": record_of(mesh="x"), "mesh": "x", "thesis.tex": "years of work"},
    "a thesis beside a run of version 0.1": {"run.json": OLD_RECORD, "thesis.tex": "years of work"},
    "a thesis beside a model": {"config.json": MODEL, "model.safetensors": "", "thesis.tex": "years of work"},
    "a picture that was painted over": {"run.json": record_of(mesh="x"), "mesh": "painted"},
    "a model card that was rewritten": {
        "config.json": MODEL,
        "README.md": "mine",
        "run.json": record_of(**{"config.json": MODEL, "README.md": "card"}),
    },
    "frames that do not begin at 0": {"00001.png": MARK, "00002.png": MARK},
    "frames with a gap": {"00000.png": MARK, "00002.png": MARK},
    "frames of another program": {"00000.png": "", "00001.png": ""},
    "frames of another program beside ours": {"00000.png": MARK, "00001.png": ""},
    "a thesis": {"thesis.tex": "years of work"},
    "another program's config": {"config.json": '{"format": "webpack"}'},
    "a config without a format": {"config.json": '{"hidden_size": 768, "model_type": "bert"}'},
    "a broken config": {"config.json": "{"},
    "a config that is no object": {"config.json": "[" * 100_000},
    "another program's run": {"run.json": '{"versions": ["gen3d_tools"]}', "config.json": "3"},
    "cameras of another program": {"cameras.txt": "# lenses", "images.txt": "# poses", "points3D.txt": "# none\n"},
    "cameras among pictures": {"cameras.txt": MARK, "images.txt": MARK, "points3D.txt": MARK, "photo.jpg": ""},
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


def test_a_folder_is_known_by_a_record_two_folders_above(tmp_path):
    chair = tmp_path / "set/pictures/chair"
    chair.mkdir(parents=True)
    (chair / "0.png").write_text("x")
    with pytest.raises(InputError, match=r"0\.png"), atomic_path(chair, overwrite=True) as temporary:
        temporary.mkdir()
    (tmp_path / "set/run.json").write_text(record_of(**{"pictures/chair/0.png": "x"}))
    with atomic_path(chair, overwrite=True) as temporary:
        temporary.mkdir()
    assert list(chair.iterdir()) == []
