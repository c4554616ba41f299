"""Seeing gradients: step, explain, nudge, check, sensitivity, diagnose."""
