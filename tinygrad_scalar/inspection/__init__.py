"""Seeing gradients. One file for each verb: step, explain, nudge, check, sensitivity, diagnose; the others serve them.

A new reader is best modelled on sensitivity.py, the shortest: it begins with a NamedGraph and prints a table.
"""
