"""Who can reach the API, and whether it asks them for a key."""

import ipaddress

from shared.settings import Settings


def keys_required(settings: Settings) -> bool:
    """Whether a request without a key is refused: unless a setting says so, where others than this machine may ask."""
    if settings.keys == "auto":
        return not is_loopback(settings.api_host)
    return settings.keys == "required"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
