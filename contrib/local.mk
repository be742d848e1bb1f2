# What is installed beside the programs.
