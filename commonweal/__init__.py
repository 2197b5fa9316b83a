"""Commonweal: which institution turns self-interested learning agents towards group welfare?"""
from commonweal.registry import institution, make
from commonweal.society import Society, Transition

__all__ = ["Society", "Transition", "institution", "make"]
