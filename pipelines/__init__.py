"""Convoy: chat conversations from chatbot platforms into a data warehouse, complete."""
