"""How kernels are compiled, and how what is compiled is kept."""
