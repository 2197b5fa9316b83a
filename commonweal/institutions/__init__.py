"""Institutions: layers over a dilemma. One file a family."""
