# Manual pages: dist_man_MANS += doc/X.8
