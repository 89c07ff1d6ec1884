"""The solve explorer: one HTML file in which every prompt of some runs can be looked at, arm against arm, offline."""
