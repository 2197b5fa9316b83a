"""Agents: learners, scripted behaviour, best responses. One file an algorithm."""
