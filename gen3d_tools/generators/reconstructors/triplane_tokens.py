"""Image tokens to tri-planes (TripoSR, section 3): learned tokens, a transformer that looks at the picture, upsampling.

Modules bear the names of the published tensors.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.reconstructor_configs import TripoSRConfig
from gen3d_tools.generators.reconstructors.image_tokens import attend

_GROUP_EPS = 1e-6
_LAYER_EPS = 1e-5


class TriplaneTokens(nn.Module):
    """The learned tokens that every object starts from."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        side = config.tokens_resolution
        self.embeddings = nn.Parameter(torch.zeros(3, config.channels, side, side))

    def forward(self, batch: int) -> Float[Tensor, "b channels tokens"]:
        """Give them in one row: plane by plane, row by row."""
        return rearrange(self.embeddings, "p c y x -> c (p y x)").expand(batch, -1, -1)


class CrossAttention(nn.Module):
    """Attention to other tokens, or to its own."""

    def __init__(self, config: TripoSRConfig, context: int) -> None:
        super().__init__()
        width, bias = config.heads * config.head_width, config.attention_bias
        self.heads = config.heads
        self.to_q = nn.Linear(width, width, bias=bias)
        self.to_k, self.to_v = nn.Linear(context, width, bias=bias), nn.Linear(context, width, bias=bias)
        self.to_out = nn.ModuleList([nn.Linear(width, width)])

    def forward(
        self, x: Float[Tensor, "b tokens width"], context: Float[Tensor, "b others inputs"]
    ) -> Float[Tensor, "b tokens width"]:
        """Attend to the context and project."""
        seen = attend(self.to_q(x), self.to_k(context), self.to_v(context), self.heads)
        projected: Tensor = self.to_out[0](seen)
        return projected


class GatedUnits(nn.Module):
    """The hidden layer of a feed-forward network: GELU, or half of the units gated by the other half (Shazeer 2020)."""

    def __init__(self, width: int, *, gated: bool) -> None:
        super().__init__()
        self.gated = gated
        self.proj = nn.Linear(width, (8 if gated else 4) * width)

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens hidden"]:
        """Apply it; the values come before the gates."""
        if not self.gated:
            return F.gelu(self.proj(x))
        values, gates = self.proj(x).chunk(2, -1)
        gated: Tensor = values * F.gelu(gates)
        return gated


class FeedForward(nn.Module):
    """Two linear layers; `net` counts as the published one, whose second entry has no tensors."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        width = config.heads * config.head_width
        units = GatedUnits(width, gated=config.feed_forward == "geglu")
        self.net = nn.Sequential(units, nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens width"]:
        """Apply them."""
        out: Tensor = self.net(x)
        return out


class Block(nn.Module):
    """Attention among the tokens, to the picture, and a feed-forward network, each behind a norm."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        width = config.heads * config.head_width
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=_LAYER_EPS) for _ in range(3))
        self.attn1, self.attn2 = CrossAttention(config, width), CrossAttention(config, config.image_width)
        self.ff = FeedForward(config)

    def forward(
        self, x: Float[Tensor, "b tokens width"], image_tokens: Float[Tensor, "b others image_width"]
    ) -> Float[Tensor, "b tokens width"]:
        """Go on by one block."""
        own = self.norm1(x)
        x = x + self.attn1(own, own)
        x = x + self.attn2(self.norm2(x), image_tokens)
        further: Tensor = x + self.ff(self.norm3(x))
        return further


class TriplaneTransformer(nn.Module):
    """Tri-plane tokens that have looked at a picture, added to what they were."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        width = config.heads * config.head_width
        self.norm = nn.GroupNorm(config.norm_groups, config.channels, eps=_GROUP_EPS)
        self.proj_in, self.proj_out = nn.Linear(config.channels, width), nn.Linear(width, config.channels)
        self.transformer_blocks = nn.ModuleList(Block(config) for _ in range(config.backbone_layers))

    def forward(
        self, tokens: Float[Tensor, "b channels tokens"], image_tokens: Float[Tensor, "b others image_width"]
    ) -> Float[Tensor, "b channels tokens"]:
        """Transform them; a group's statistics are those of its channels in all tokens."""
        x = self.proj_in(self.norm(tokens).mT)
        for block in self.transformer_blocks:
            x = block(x, image_tokens)
        seen: Tensor = self.proj_out(x).mT + tokens
        return seen


class PlaneUpsampler(nn.Module):
    """Planes of twice the tokens' resolution."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(config.channels, config.plane_channels, 2, 2)

    def forward(self, planes: Float[Tensor, "b 3 channels n n"]) -> Float[Tensor, "b 3 features m m"]:
        """Upsample every plane by itself."""
        features = self.upsample(rearrange(planes, "b p c y x -> (b p) c y x"))
        upsampled: Tensor = rearrange(features, "(b p) c y x -> b p c y x", p=3)
        return upsampled
