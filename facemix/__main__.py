"""``python -m facemix`` is the command line; ``torchrun -m facemix train`` needs it."""

from facemix.cli import main

if __name__ == "__main__":
    main()
