"""agent-eval: find out whether a language model would seek power or replicate."""

__version__ = "0.1.0"
