"""Trained networks at work: from weights in a file to numbers.

The folder: `patches` (what a network sees of a nodule), `outlines` (a nodule's voxels
from its patch).
"""
