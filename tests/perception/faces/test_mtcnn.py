"""The cascade finds what its networks ask for; its files are read as tensors; which detector is here is found out."""

import os
import sys
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

import pytest
import torch
from skimage import data
from torch.nn import functional as F

from gen3d_tools.errors import CheckpointError, MissingDependencyError, NotFoundError
from gen3d_tools.perception.faces import face_mesh, finding, mtcnn
from gen3d_tools.perception.faces.face import Face
from gen3d_tools.perception.faces.mtcnn import Mtcnn
from gen3d_tools.perception.faces.mtcnn_networks import (
    NETWORK_FILES,
    OutputNetwork,
    ProposalNetwork,
    RefiningNetwork,
    load_networks,
)

PLACES = torch.tensor([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]])
REAL = bool(os.environ.get(finding.MTCNN_FOLDER)) or finding.mtcnn_folder() is not None


def disc(side):
    axis = (torch.arange(side) + 0.5) / side - 0.5
    return (torch.hypot(axis[:, None], axis[None]) < 0.5).float()


def likeness(windows):
    """How much windows look like a white disc on black that fills them: 1 less the mean difference."""
    side = windows.shape[-1]
    return 1 - (F.interpolate((windows + 1) / 2, (side, side)) - disc(side)).abs().mean(dim=(1, 2, 3))


class DiscProposals(ProposalNetwork):
    """Takes white discs for faces."""

    def forward(self, images):
        parts = F.unfold(images.mean(dim=1, keepdim=True), 12, stride=2)
        rows, columns = ((side - 12) // 2 + 1 for side in images.shape[2:])
        found = likeness(parts[0].T.reshape(-1, 1, 12, 12)).reshape(1, rows, columns)
        return found, found.new_zeros(1, 4, rows, columns)


class DiscWindows(RefiningNetwork):
    """Takes white discs for faces."""

    def forward(self, images):
        return likeness(images), images.new_zeros(len(images), 4)


class DiscFaces(OutputNetwork):
    """Takes white discs for faces whose points are at `PLACES`."""

    def forward(self, images):
        return likeness(images), images.new_zeros(len(images), 4), PLACES.T.flatten().expand(len(images), -1)


@pytest.fixture
def discs(monkeypatch):
    monkeypatch.setattr(mtcnn, "load_networks", lambda folder: (DiscProposals(), DiscWindows(), DiscFaces()))
    return Mtcnn("anywhere")


@pytest.fixture
def folder(tmp_path):
    """Files as facenet-pytorch's wheel carries them, with random numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for name, network in zip(NETWORK_FILES, (ProposalNetwork(), RefiningNetwork(), OutputNetwork()), strict=True):
            torch.save(network.state_dict(), tmp_path / name, _use_new_zipfile_serialization=False)
    return tmp_path


def scene(*places, size=(260, 300)):
    """White discs (left, top, side) on black."""
    picture = torch.zeros(3, *size)
    for left, top, side in places:
        picture[:, top : top + side, left : left + side] = disc(side)
    return picture


def test_a_window_is_found_where_it_is_with_its_points(discs):
    [face, *_] = discs(scene((103, 84, 56)))
    assert face.box == pytest.approx((103, 84, 159, 140), abs=4)
    left, top, right, bottom = face.box
    inside = (face.points - torch.tensor([left, top])) / torch.tensor([right - left, bottom - top])
    torch.testing.assert_close(inside, PLACES, rtol=0, atol=0.02)
    assert face.confidence > 0.9


def test_the_largest_comes_first_and_what_is_dark_is_none(discs):
    faces = discs(scene((20, 33, 40), (149, 56, 112)))
    assert faces[0].extent == max(face.extent for face in faces)
    assert faces[0].box[0] > 120
    assert any(face.box[2] < 80 for face in faces)
    assert discs(scene()) == []


def test_a_large_picture_is_shrunk_and_places_are_those_of_the_picture(discs, monkeypatch):
    monkeypatch.setattr(mtcnn, "_LONGEST", 300)
    [face, *_] = discs(scene((309, 252, 168), size=(780, 900)))
    assert face.box == pytest.approx((309, 252, 477, 420), abs=12)


def test_a_picture_smaller_than_a_window_has_no_face(discs):
    assert discs(scene(size=(10, 10))) == []


def test_of_boxes_that_overlap_the_likeliest_stays():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40], [32, 32, 36, 36]])
    scores = torch.tensor([0.8, 0.9, 0.7, 0.6])
    assert mtcnn._apart(boxes, scores, 0.5).tolist() == [1, 2, 3]
    assert mtcnn._apart(boxes, scores, 0.5, of_smaller=True).tolist() == [1, 2]


def test_a_window_beyond_the_edge_is_black_there():
    [window] = mtcnn._windows(torch.ones(3, 20, 20), torch.tensor([[-10.0, 0, 10, 20]]), 20)
    assert window[:, :, :10].max() == -1
    assert window[:, :, 10:].min() == 1
    assert mtcnn._windows(torch.ones(3, 20, 20), torch.tensor([[50.0, 50, 60, 60]]), 8).max() == -1


def test_files_come_back_as_they_were(folder):
    for name, network in zip(NETWORK_FILES, load_networks(folder), strict=True):
        stored = torch.load(folder / name, weights_only=True)
        for key, value in network.state_dict().items():
            torch.testing.assert_close(value, stored[key])
    assert isinstance(Mtcnn(folder)(torch.rand(3, 64, 64)), list)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: {**state, "extra": torch.zeros(1)}, "extra"),
        (lambda state: {k: v for k, v in state.items() if k != "conv3.bias"}, "conv3.bias"),
        (lambda state: {**state, "conv3.bias": torch.zeros(3)}, "conv3.bias"),
        (lambda state: {**state, "conv3.bias": torch.full((64,), float("nan"))}, "NaN"),
        (lambda state: {**state, "conv3.bias": 7}, "is no tensor"),
        (lambda state: {**state, "conv3.bias": print}, "nothing was run"),
        (lambda state: [state], "no table"),
    ],
)
def test_a_file_of_another_network_is_refused_in_one_line(folder, change, words):
    path = folder / "rnet.pt"
    state = dict(torch.load(path, weights_only=True))
    torch.save(change(state), path, _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match=words) as caught:
        Mtcnn(folder)
    assert "rnet.pt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_cut_or_no_pickle_is_refused(folder):
    whole = (folder / "onet.pt").read_bytes()
    for content in (whole[:200], whole[: len(whole) // 2], b"", b"PK\x03\x04", b"\x80\x02K\x01."):
        (folder / "onet.pt").write_bytes(content)
        with pytest.raises(CheckpointError, match=r"onet\.pt"):
            Mtcnn(folder)
    (folder / "onet.pt").unlink()
    with pytest.raises(NotFoundError, match=r"onet\.pt"):
        Mtcnn(folder)


def without_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    monkeypatch.delenv(finding.MTCNN_FOLDER, raising=False)


def test_a_named_folder_is_taken_and_one_without_the_files_refused(folder, monkeypatch):
    without_packages(monkeypatch)
    monkeypatch.setenv(finding.MTCNN_FOLDER, str(folder))
    assert finding.find_detector().name == "mtcnn"
    assert str(folder) in finding.detector_found()
    (folder / "rnet.pt").unlink()
    with pytest.raises(NotFoundError, match=r"where rnet\.pt is not"):
        finding.find_detector()


def test_an_installed_package_is_found_without_importing_it(folder, monkeypatch):
    without_packages(monkeypatch)
    (folder / "package").mkdir()
    (folder / "package/__init__.py").write_text("raise SystemExit('it was imported')")
    (folder / "package/data").mkdir()
    for name in NETWORK_FILES:
        (folder / name).rename(folder / "package/data" / name)
    spec = ModuleSpec("facenet_pytorch", None, is_package=True)
    spec.submodule_search_locations = [str(folder / "package")]
    find = finding.importlib.util.find_spec
    monkeypatch.delitem(sys.modules, "facenet_pytorch")
    monkeypatch.setattr(
        finding.importlib.util, "find_spec", lambda name: spec if name == "facenet_pytorch" else find(name)
    )
    assert finding.find_detector().name == "mtcnn"


def test_without_a_detector_the_message_says_how_to_get_one(monkeypatch):
    without_packages(monkeypatch)
    assert finding.detector_found() == ""
    with pytest.raises(MissingDependencyError, match=r"pip install --no-deps facenet-pytorch .*--landmarks"):
        finding.find_detector()


def test_points_of_the_mesh_become_five(monkeypatch):
    mesh = [SimpleNamespace(x=0.5, y=0.5)] * 468
    for index, (x, y) in {33: (0.2, 0.3), 133: (0.4, 0.3), 362: (0.6, 0.3), 263: (0.8, 0.3)}.items():
        mesh[index] = SimpleNamespace(x=x, y=y)
    mesh[1], mesh[61], mesh[291] = (SimpleNamespace(x=x, y=y) for x, y in ((0.5, 0.6), (0.35, 0.8), (0.65, 0.8)))

    class Mesh:
        def __init__(self, **_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def process(self, picture):
            assert picture.shape == (100, 200, 3)
            return SimpleNamespace(multi_face_landmarks=[SimpleNamespace(landmark=mesh)])

    monkeypatch.setitem(sys.modules, "mediapipe.python.solutions.face_mesh", SimpleNamespace(FaceMesh=Mesh))
    [face] = face_mesh.FaceMesh()(torch.rand(3, 100, 200))
    wanted = torch.tensor([[60.0, 30], [140, 30], [100, 60], [70, 80], [130, 80]])
    torch.testing.assert_close(face.points, wanted)
    assert face.box == pytest.approx((40, 30, 160, 80))


def test_the_largest_face_has_the_largest_width_and_height_together():
    assert Face(torch.zeros(5, 2), (10, 20, 30, 60), 1.0).extent == 60


@pytest.mark.skipif(not REAL, reason="needs MTCNN's files: pip install --no-deps facenet-pytorch, or set GEN3D_MTCNN")
@pytest.mark.parametrize("turns", [0, 1])
def test_the_published_networks_find_the_astronaut_and_no_cat(turns):
    detector = finding.find_detector()
    photo = torch.from_numpy(data.astronaut().copy()).permute(2, 0, 1) / 255
    [face] = detector(photo.flip(-1) if turns else photo)
    wanted = torch.tensor([[204.0, 102], [247, 104], [224, 130], [202, 140], [245, 142]])
    wanted = (torch.tensor([511.0, 0]) - wanted * torch.tensor([1.0, -1]))[[1, 0, 2, 4, 3]] if turns else wanted
    torch.testing.assert_close(face.points, wanted, rtol=0, atol=6)
    assert face.confidence > 0.99
    assert detector(torch.from_numpy(data.chelsea().copy()).permute(2, 0, 1) / 255) == []
