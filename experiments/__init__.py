"""Claims about depth and skip connections, measured; `python -m experiments.make NAME` measures one again."""
