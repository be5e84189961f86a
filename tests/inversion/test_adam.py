"""The optimiser of both stages beside `torch.optim.Adam`."""

import pytest
import torch

from gen3d_tools.inversion.adam import Adam


def drawn(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


def descend(tensors, optimizer, steps, *arguments):
    for _ in range(steps):
        optimizer.zero_grad()
        (tensors[0].square().sum() + tensors[1].sin().sum()).backward()
        optimizer.step(*arguments)


def test_it_moves_as_torchs_class_moves_each_group_at_its_rate():
    mine, theirs = drawn((3, 4), (5,)), drawn((3, 4), (5,))
    groups = [{"params": [theirs[0]], "lr": 0.1 * 0.5}, {"params": [theirs[1]], "lr": 0.02 * 0.5}]
    descend(mine, Adam(([mine[0]], 0.1), ([mine[1]], 0.02)), 20, 0.5)
    descend(theirs, torch.optim.Adam(groups, fused=True), 20)
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_a_group_whose_gradients_are_left_out_shifts_no_other():
    mine, theirs = drawn((2, 2), (3,), (4,)), drawn((2, 2), (3,), (4,))
    optimizers = (
        (mine, Adam((mine[:2], 0.1), (mine[2:], 0.05))),
        (theirs, torch.optim.Adam([{"params": theirs[:2]}, {"params": theirs[2:], "lr": 0.05}], lr=0.1, fused=True)),
    )
    for tensors, optimizer in optimizers:
        for step in range(6):
            optimizer.zero_grad()
            sum((one**2).sum() * (index + 1) for index, one in enumerate(tensors)).backward()
            if step < 3:
                tensors[0].grad = None
            optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(mine, theirs, strict=True))


def test_the_state_of_other_tensors_is_refused():
    optimizer = Adam((drawn((3,), (2, 2)), 0.1))
    moments = {"exp_avg": torch.zeros(3), "exp_avg_sq": torch.zeros(3)}
    for index, state in (
        (2, {"step": torch.ones(()), **moments}),
        (1, {"step": torch.ones(()), **moments}),
        (0, moments),
    ):
        with pytest.raises(ValueError, match=f"state {index}"):
            optimizer.load_state_dict({"state": {index: state}})


def test_a_tensor_without_a_gradient_stays_and_has_no_past():
    first, second = drawn((2,), (2,))
    before, optimizer = second.detach().clone(), Adam(([first, second], 0.1))
    first.square().sum().backward()
    optimizer.step()
    assert torch.equal(second, before)
    assert list(optimizer.state_dict()["state"]) == [0]


def test_it_goes_on_from_its_own_state_and_from_one_of_torchs_class():
    whole, parts, theirs = drawn((3,), (2, 2)), drawn((3,), (2, 2)), drawn((3,), (2, 2))
    descend(whole, Adam((whole, 0.1)), 8)
    first, other = Adam((parts, 0.1)), torch.optim.Adam(theirs, lr=0.1, fused=True)
    descend(parts, first, 5)
    descend(theirs, other, 5)
    for tensors, state in ((parts, first.state_dict()), (theirs, other.state_dict())):
        second = Adam((tensors, 0.1))
        second.load_state_dict(state)
        descend(tensors, second, 3)
        assert all(torch.equal(one, same) for one, same in zip(tensors, whole, strict=True))


def test_moments_lie_in_memory_as_their_tensors_do():
    kernel = torch.zeros(2, 3, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    average, squares = (one.detach() for one in drawn((2, 3, 3, 3), (2, 3, 3, 3)))
    moments = {"step": torch.ones(()), "exp_avg": average, "exp_avg_sq": squares}
    optimizer = Adam(([kernel], 0.1))
    optimizer.load_state_dict({"state": {0: moments}})
    for name in ("exp_avg", "exp_avg_sq"):
        assert optimizer.state_dict()["state"][0][name].stride() == kernel.stride()
        assert torch.equal(optimizer.state_dict()["state"][0][name], moments[name])
