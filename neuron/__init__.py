"""Find the cheapest accelerator: a two-headed BERT, compiled by several vendors' stacks, and tested under load.

Runs in containers of its own, which hold neither Boxcar nor what runs it. Python 3.10 is the oldest that it must run
on, since that is what the last torch-neuron for Inf1 supports.
"""
