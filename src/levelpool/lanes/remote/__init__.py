"""A lane on other machines: what travels, its near end in the calling process, its far end in each machine's worker. None of it knows Dask."""
