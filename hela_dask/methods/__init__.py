"""The methods: one region in, the masks of its nucleus and cell out, all with one signature."""
