"""One module per family of generators: what the network is, and how latents become fields."""
