"""Ways to move pretrained weights: one file each."""
