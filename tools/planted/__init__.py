"""Planted bugs: mistakes that others made, put into a copy of the tree, each to turn a test red.

`python -m tools.planted` plants every one, or those that are named, and fails if one survives.
A suite that was never red proves nothing; this says which test each mistake meets.
"""
