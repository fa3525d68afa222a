"""Artifact folders (save, load, predict, export), model cards and the HTML report."""
