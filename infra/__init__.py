"""Nested templates of the stack, and the small programs behind the Makefile's operating verbs."""
