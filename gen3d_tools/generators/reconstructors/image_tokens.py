"""A picture to tokens: the vision transformer that DINO trained (Dosovitskiy et al. 2021; Caron et al. 2021).

Modules bear the names of the published tensors. The pooler is among these; nothing reads it.
"""

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.generators.reconstructor_configs import TripoSRConfig

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet
_EPS = 1e-12
_SCALE_OFFSET = 0.1
"""Position embeddings are resampled by `(patches + 0.1) / trained`: the trained weights have seen those positions."""


class PatchEmbeddings(nn.Module):
    """One token per patch, row by row."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, config.image_width, config.patch_size, config.patch_size)

    def forward(self, pictures: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b patches width"]:
        """Cut a normalised picture up."""
        tokens: Tensor = rearrange(self.projection(pictures), "b c y x -> b (y x) c")
        return tokens


class Embeddings(nn.Module):
    """Patches behind a class token, with their positions."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.image_width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + config.trained_patches**2, config.image_width))
        self.patch_embeddings = PatchEmbeddings(config)

    def forward(self, pictures: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b tokens width"]:
        """Embed normalised pictures."""
        patches = self.patch_embeddings(pictures)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], 1)
        return tokens + resampled_positions(self.position_embeddings, round(patches.shape[1] ** 0.5))


def resampled_positions(table: Float[Tensor, "1 trained width"], patches: int) -> Float[Tensor, "1 tokens width"]:
    """Resample the embeddings of patches, bicubically, for pictures of another size; the class token's stays.

    Args:
        table: The class token's, then those of a square of patches, row by row.
        patches: Along each side of the picture.
    """
    trained = round((table.shape[1] - 1) ** 0.5)
    if patches == trained:
        return table
    image = rearrange(table[:, 1:], "1 (y x) c -> 1 c y x", y=trained)
    factor = (patches + _SCALE_OFFSET) / trained
    resampled = F.interpolate(image, scale_factor=factor, mode="bicubic", align_corners=False)
    return torch.cat([table[:, :1], rearrange(resampled, "1 c y x -> 1 (y x) c")], 1)


class SelfAttention(nn.Module):
    """Queries, keys and values of one layer; heads are slices of the width."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.heads = config.image_heads
        self.query, self.key, self.value = (nn.Linear(config.image_width, config.image_width) for _ in range(3))

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens width"]:
        """Attend; the projection behind it is a module of its own."""
        return attend(self.query(x), self.key(x), self.value(x), self.heads)


def attend(
    query: Float[Tensor, "b tokens width"],
    key: Float[Tensor, "b others width"],
    value: Float[Tensor, "b others width"],
    heads: int,
) -> Float[Tensor, "b tokens width"]:
    """`softmax(q k^T / sqrt(width of a head)) v` in heads that are consecutive slices of the width."""
    q, k, v = (rearrange(x, "b t (h c) -> b h t c", h=heads) for x in (query, key, value))
    return rearrange(F.scaled_dot_product_attention(q, k, v), "b h t c -> b t (h c)")


class Projection(nn.Module):
    """A linear layer under the name that the published tensors give it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)

    def forward(self, x: Float[Tensor, "b tokens inputs"]) -> Float[Tensor, "b tokens outputs"]:
        """Apply it."""
        projected: Tensor = self.dense(x)
        return projected


class Attention(nn.Module):
    """Self-attention and its projection."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.output = Projection(config.image_width, config.image_width)

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens width"]:
        """Attend and project."""
        projected: Tensor = self.output(self.attention(x))
        return projected


class Layer(nn.Module):
    """One layer: attention, then two linear layers, each behind a norm and beside what it is added to."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        width = config.image_width
        self.attention = Attention(config)
        self.intermediate = Projection(width, config.image_hidden)
        self.output = Projection(config.image_hidden, width)
        self.layernorm_before, self.layernorm_after = nn.LayerNorm(width, eps=_EPS), nn.LayerNorm(width, eps=_EPS)

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens width"]:
        """Go on by one layer."""
        x = x + self.attention(self.layernorm_before(x))
        further: Tensor = x + self.output(F.gelu(self.intermediate(self.layernorm_after(x))))
        return further


class Encoder(nn.Module):
    """All layers."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.image_layers))

    def forward(self, x: Float[Tensor, "b tokens width"]) -> Float[Tensor, "b tokens width"]:
        """Go through them."""
        for layer in self.layer:
            x = layer(x)
        return x


class VisionTransformer(nn.Module):
    """The image encoder. All its tokens are used, the class token's too."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.layernorm = nn.LayerNorm(config.image_width, eps=_EPS)
        self.pooler = Projection(config.image_width, config.image_width)  # in the published file, and not used

    def forward(self, pictures: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b tokens width"]:
        """Encode normalised pictures."""
        tokens: Tensor = self.layernorm(self.encoder(self.embeddings(pictures)))
        return tokens


class ImageTokenizer(nn.Module):
    """Pictures in 0..1 to tokens."""

    def __init__(self, config: TripoSRConfig) -> None:
        super().__init__()
        self.model = VisionTransformer(config)

    def forward(self, pictures: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b tokens width"]:
        """Normalise by ImageNet's mean and standard deviation, and encode."""
        tokens: Tensor = self.model(normalised(pictures))
        return tokens


def normalised(pictures: Float[Tensor, "b 3 n n"]) -> Float[Tensor, "b 3 n n"]:
    """Subtract ImageNet's mean colour and divide by its standard deviation."""
    mean, std = (pictures.new_tensor(values)[:, None, None] for values in (_MEAN, _STD))
    return (pictures - mean) / std
