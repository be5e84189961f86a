import pytest
import torch

from gen3d_tools.rendering.volume import tracing


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.999, 1.0])
def test_a_quantile_of_too_many_values_is_that_of_few(share, monkeypatch):
    values = torch.randn(7, 13, generator=torch.Generator().manual_seed(0))
    expected = torch.quantile(values, share)
    monkeypatch.setattr(tracing, "_MOST_QUANTILE_VALUES", 10)
    torch.testing.assert_close(tracing._quantile(values, share), expected)
