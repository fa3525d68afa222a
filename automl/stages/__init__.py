"""The stages of a run, wired by :mod:`automl.api`: prepare, price, evaluate, confirm, answer."""
