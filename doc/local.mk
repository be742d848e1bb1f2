# Manual pages: dist_man_MANS += doc/X.8
dist_doc_DATA += doc/interpretations.md
