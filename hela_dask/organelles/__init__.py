"""Organelles of any origin: their cell, their compartment, and their distances."""
