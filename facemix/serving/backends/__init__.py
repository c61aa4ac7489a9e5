"""The model's arithmetic, in the forms that a machine may run fastest: see `facemix.serving.backends.choose`."""
