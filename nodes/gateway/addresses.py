"""Where things are at a gateway, for those who write an address down: on paper, in credentials."""

from __future__ import annotations

from urllib.parse import quote


def certificate_page(site: str, identifier: str) -> str:
    """Return the address of a certificate's page.

    Args:
        site: Base address, as `nodes.commands.gateway_client.check_address` returns it.
    """
    return f"{site}/certificates/{quote(identifier, safe='')}"
