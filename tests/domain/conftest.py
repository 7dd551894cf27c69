"""Hypothesis without a clock of its own: on a busy machine a single example may take long."""

from hypothesis import settings

settings.register_profile("calm", deadline=None)
settings.load_profile("calm")
