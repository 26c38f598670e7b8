"""lambda-rerank: a query and its candidate passages go in, the passages come back scored and ordered."""
