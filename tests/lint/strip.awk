# C source without comments; with -v strings=drop also without the content of strings and characters.
# Lines keep their numbers.
{
  out = ""
  n = length($0)
  for (i = 1; i <= n; i++) {
    c = substr($0, i, 1)
    two = substr($0, i, 2)
    if (comment) {
      if (two == "*/") { comment = 0; i++; out = out " " }
    } else if (quote != "") {
      if (c == "\\") { if (strings != "drop") out = out two; i++ }
      else if (c == quote) { out = out c; quote = "" }
      else if (strings != "drop") out = out c
    } else if (two == "/*") { comment = 1; i++ }
    else if (two == "//") break
    else {
      if (c == "\"" || c == "'") quote = c
      out = out c
    }
  }
  quote = ""
  print out
}
