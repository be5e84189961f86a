"""A network file is told by what is in it, and a wrong one is refused in one line before any work."""

import hashlib

import pytest
import torch

from gen3d_tools.errors import CheckpointError, NotFoundError
from gen3d_tools.perception.feature_networks import Features, load_inception
from tests.support.inception_files import write_script, write_weights

PICTURES = torch.randint(0, 256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def test_a_program_gives_features_and_the_classes_without_bias(tmp_path):
    path = write_script(tmp_path / "inception.pt")
    network = load_inception(path)
    answer = network(PICTURES)
    assert network.kind == "TorchScript"
    assert network.is_inception
    assert network.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert answer.values.shape == (3, 2048)
    shares = answer.logits.softmax(1)
    torch.testing.assert_close(shares.sum(1), torch.ones(3))
    torch.testing.assert_close(network(PICTURES[1:2]).logits.softmax(1), shares[1:2])  # each picture by itself
    assert shares.std(0).max() > 1e-4


@pytest.mark.slow
@pytest.mark.parametrize("legacy", [False, True])
def test_weights_give_what_torch_fidelitys_network_gives(tmp_path, legacy):
    path, theirs = write_weights(tmp_path / "weights.pth", legacy=legacy)
    network = load_inception(path)
    assert network.kind == "torch-fidelity weights"
    answer, expected = network(PICTURES[:1]), theirs(PICTURES[:1])
    torch.testing.assert_close(answer.values, expected[0])
    torch.testing.assert_close(answer.logits, expected[1])


def test_a_network_of_another_size_is_refused(tmp_path):
    path = write_script(tmp_path / "vgg16.pt", numbers=64)
    with pytest.raises(CheckpointError, match="answers with 64 numbers for each picture, Inception with 2048"):
        load_inception(path)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04 cut short"])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "inception.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"inception\.pt"):
        load_inception(path)


def test_a_table_of_other_weights_is_refused(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"layer.weight": torch.zeros(3, 3)}, path)
    with pytest.raises(CheckpointError, match="weights of another network"):
        load_inception(path)


def test_code_in_a_pickle_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "trap.pth"
    torch.save({"weight": Trap()}, path)
    with pytest.raises(CheckpointError):
        load_inception(path)
    assert not (tmp_path / "sprung").exists()


def test_no_file_is_said_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(NotFoundError, match="nothing is downloaded"):
        load_inception(tmp_path / "inception.pt")


def test_pieces_are_joined_in_order():
    parts = [Features(torch.full((2, 3), float(index))) for index in range(3)]
    assert Features.joined(parts).values[:, 0].tolist() == [0, 0, 1, 1, 2, 2]
    assert Features.joined(parts).logits is None
