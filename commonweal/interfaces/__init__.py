"""Faces: PettingZoo, Gymnasium, stable-baselines3. Thin, no logic of their own."""
