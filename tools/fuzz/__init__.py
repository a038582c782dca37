"""Fuzzing of every parser, guided by coverage; see __main__.py."""
