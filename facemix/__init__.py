"""facemix: two photographs in, one believable face out."""

__version__ = "0.1.0"
