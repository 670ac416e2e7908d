"""The catalogue's page is what the tables and the adapters say."""

from loadtest.catalogue import ASKED, COPY, PAGE, render, render_copy
from standards.catalogue import load_standard

STANDARD = load_standard()


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run make catalogue"


def test_the_clients_copy_is_the_generated_one() -> None:
    assert COPY.read_text(encoding="utf-8") == render_copy(), "run make catalogue"


def test_no_adapter_asks_what_the_standard_says_its_platform_does_not_hold() -> None:
    for platform, items in ASKED.items():
        assert {item for item in items if platform not in STANDARD.items.get(item).held_by} == set()


def test_every_item_and_every_field_of_a_typed_one_stands_on_the_page() -> None:
    page = render()
    for item in STANDARD.items.all():
        assert f"`{item.item_id}`" in page
        assert all(f"| `{field.field_id}` |" in page for field in item.fields if item.is_typed)
