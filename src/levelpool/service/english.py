"""The English texts of the page; `{name}` is filled in, a key that ends in `.many` is the plural."""

ENGLISH = {
    "product": "levelpool",
}
