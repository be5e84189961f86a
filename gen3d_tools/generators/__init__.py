"""Networks from seeds and classes to tri-planes."""
