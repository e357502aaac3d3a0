"""Every kind of release store, by the scheme of its URL. A new kind is one module here and one line below."""

from collections.abc import Callable, Mapping
from pathlib import Path

from activities.ports import Store, StoreError
from activities.stores.bucket import open_bucket
from activities.stores.claims import open_claims
from activities.stores.local import open_folder

STORES: Mapping[str, Callable[[str], Store]] = {
    "az": open_bucket,
    "file": open_folder,
    "gs": open_bucket,
    "s3": open_bucket,
    "s3+claims": open_claims,
}


def open_store(location: str, beside: Path) -> Store:
    """Open the store at a URL, or in a folder whose path counts from ``beside``. Raises ``StoreError``."""
    url = location if "://" in location else (beside / location).resolve().as_uri()
    scheme = url.partition("://")[0]
    if scheme not in STORES:
        known = ", ".join(f"{name}://" for name in STORES)
        raise StoreError(
            f"The release store “{location}” cannot be opened: write a folder, or a URL with {known}."
        )
    return STORES[scheme](url)
