"""The environment of the package: its packages, this machine, and whether a run can work here.

Imports the standard library only, so that it works where a package is broken.
"""
