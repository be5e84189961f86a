"""TripoSR (Tochilkin et al. 2024): one photo of any object to a tri-plane field, in one forward pass."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from gen3d_tools.errors import InputError
from gen3d_tools.fields.triplane import TriplaneField
from gen3d_tools.generators.networks.precision import usable_dtype
from gen3d_tools.generators.reconstructor_configs import TripoSRConfig
from gen3d_tools.generators.reconstructors.base import LatentFree
from gen3d_tools.generators.reconstructors.image_tokens import ImageTokenizer
from gen3d_tools.generators.reconstructors.plane_decoder import PlaneDecoder
from gen3d_tools.generators.reconstructors.reconstruction import Reconstruction, check_planes
from gen3d_tools.generators.reconstructors.triplane_tokens import PlaneUpsampler, TriplaneTokens, TriplaneTransformer
from gen3d_tools.generators.settings import ModelSettings


class TripoSR(LatentFree):
    """`picture -> planes -> object`. Its children bear the names of the published tensors."""

    family = "triposr"
    config_type = TripoSRConfig
    config: TripoSRConfig

    def __init__(self, config: TripoSRConfig, settings: ModelSettings) -> None:
        super().__init__(config, settings)
        _check(config)
        self.image_tokenizer = ImageTokenizer(config)
        self.tokenizer = TriplaneTokens(config)
        self.backbone = TriplaneTransformer(config)
        self.post_processor = PlaneUpsampler(config)
        self.decoder = PlaneDecoder(config)

    @property
    def why_no_seeds(self) -> str:
        """One sentence for those who ask for a seed, a class or a latent."""
        return (
            "this model makes objects from photos, it has no seeds and no classes: make one by gen3d invert PHOTO "
            f"--model {self.source or 'MODEL'} -o RESULT, and give RESULT to this command"
        )

    def fields(self, ws: Float[Tensor, "b num_ws w_dim"], *, dtype: torch.dtype = torch.float32) -> list[TriplaneField]:
        """Refuse: without a photo there is no object.

        Raises:
            InputError: Always.
        """
        raise InputError(self.why_no_seeds)

    def planes(
        self, pictures: Float[Tensor, "b 3 n n"], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "b 3 channels m m"]:
        """Look at pictures; deterministic, follows autograd.

        Args:
            pictures: What `picture.encoder_picture` gives: the object on grey, colours in 0..1.
            dtype: Of the matrix products; `torch.bfloat16` is taken where the device computes in it.

        Returns:
            Planes in float32, in the published axes and order.
        """
        size = self.config.image_resolution
        if pictures.shape[-2:] != (size, size):
            raise ValueError(f"the picture is {list(pictures.shape[-2:])}, the network looks at {size} x {size} pixels")
        dtype = usable_dtype(dtype, pictures.device)
        with torch.autocast(pictures.device.type, dtype, enabled=dtype != torch.float32):
            tokens = self.triplane_tokens(self.image_tokenizer(pictures))
            planes: Tensor = self.post_processor(self.tokens_to_planes(tokens))
        return planes.float()

    def triplane_tokens(self, image_tokens: Float[Tensor, "b others width"]) -> Float[Tensor, "b channels tokens"]:
        """Let the learned tokens look at a picture."""
        tokens: Tensor = self.backbone(self.tokenizer(len(image_tokens)), image_tokens)
        return tokens

    def tokens_to_planes(self, tokens: Float[Tensor, "b channels tokens"]) -> Float[Tensor, "b 3 channels n n"]:
        """Put a row of tokens back into planes."""
        side = self.config.tokens_resolution
        planes: Tensor = rearrange(tokens, "b c (p y x) -> b p c y x", p=3, y=side)
        return planes

    @torch.no_grad()
    def reconstruct(self, picture: Float[Tensor, "3 n n"], *, dtype: torch.dtype = torch.float32) -> Reconstruction:
        """Make the object of a picture.

        Args:
            picture: What `picture.encoder_picture` gives.
            dtype: See `planes`.

        Returns:
            A model of its own, which shares nothing with this one.
        """
        made = Reconstruction(self.config.of_an_object(), self.settings)
        made.planes = nn.Parameter(self.planes(picture[None].to(self.device), dtype=dtype)[0], requires_grad=False)
        made.decoder.load_state_dict({name: one.clone() for name, one in self.decoder.state_dict().items()})
        return made.to(self.device).eval().requires_grad_(False)


def _check(config: TripoSRConfig) -> None:
    """Refuse sizes that make no network.

    Raises:
        ValueError: Two of them do not fit together.
    """
    check_planes(config)
    for what, whole, part in (
        ("picture", config.image_resolution, config.patch_size),
        ("width of the image tokens", config.image_width, config.image_heads),
        ("number of channels", config.channels, config.norm_groups),
        ("resolution of the planes", config.plane_resolution, 2),
    ):
        if part < 1 or whole < 1 or whole % part:
            raise ValueError(f"the {what} is {whole}, which {part} does not divide")
    if min(config.heads, config.head_width, config.backbone_layers, config.image_layers, config.image_hidden) < 1:
        raise ValueError("a transformer needs at least one layer, head and unit")
    if config.trained_patches < 1:
        raise ValueError(f"trained_patches is {config.trained_patches}, it must be at least 1")
