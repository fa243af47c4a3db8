"""The load test of one cell: how fast it answers, at which rate, and whether what it answers is still right.

One process makes the load (`generator`), one process runs each share of the device (`worker`), and this package's
`__main__` starts them, looks for the highest rate that meets the target and writes the document.
"""
