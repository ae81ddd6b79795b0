"""Shards: tars of clips, the index beside them, and the batches that are drawn from them."""
