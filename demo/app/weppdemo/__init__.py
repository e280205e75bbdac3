"""A small watershed-erosion app in WEPPcloud's shape, for demonstrating and testing playtrace."""
