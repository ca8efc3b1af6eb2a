"""The networks that burn-mim trains, in plain PyTorch: what `../cases.py` times them against."""
