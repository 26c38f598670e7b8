"""The page of the contract: every route is on it, and opens onto its fields and examples."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from handler.openapi import document


def test_it_shows_every_route_with_its_fields_and_examples(page: Page, address: str) -> None:
    page.goto(f"{address}docs")
    operations = sum(len(operations) for operations in document()["paths"].values())
    expect(page.locator("details")).to_have_count(operations)
    route = page.locator("details", has=page.locator("code", has_text="/v2/rerank")).first
    route.locator("summary").click()
    expect(route.locator("td code", has_text="documents[].text")).to_have_count(1)
    expect(route.locator("pre")).to_have_count(2)
