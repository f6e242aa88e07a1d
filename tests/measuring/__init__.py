"""Tests of measuring labels of any origin."""
