"""PASCAL VOC 2012 with the masks of SBD, from the official archives."""
