"""The networks that generators are built of: layers, backbones, decoders, image networks behind the rays."""
