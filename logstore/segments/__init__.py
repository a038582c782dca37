"""Segments: the files that hold the log, what they look like, and how they are brought in order.

This room knows nothing of the ring. One process writes the files of a log (the committer, or
whoever recovers it before a committer runs); any number of others read them.
"""
