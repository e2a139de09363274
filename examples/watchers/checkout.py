"""The Entrepôt client: the one that is installed, or else that of this checkout."""

import sys
from pathlib import Path

try:
    import entrepot
except ModuleNotFoundError:
    sys.path.append(str(Path(__file__).resolve().parents[2] / "clients" / "python"))
    import entrepot

__all__ = ["entrepot"]
