"""Shared by all tests; its being here puts this folder, with made_stores, on the import path."""
