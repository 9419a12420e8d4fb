"""What a model file says about itself."""

from dnncli.models.network import read_card

__all__ = ["read_card"]
