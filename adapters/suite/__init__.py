"""The contract suite of adapters: numbered facts about a running platform's adapter, with faults put in between.

Only `bashu-gateway adapter check` and the tests import it; nothing that serves queries does.
"""
