"""Where passes run: in this process, or on Dask workers."""
