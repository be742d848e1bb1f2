/* What the fuzz targets share. Each is one file with LLVMFuzzerTestOneInput; a line "Covers:" in
   its first comment names the sources whose coverage make fuzz-coverage shows for it. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What has to hold whatever comes; libFuzzer keeps the input where it doesn't. */
#define must(holds) ((holds) ? (void)0 : must_fail(__FILE__, __LINE__, #holds))

_Noreturn static inline void must_fail(const char *file, int line, const char *what)
{
  fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
  abort();
}

#endif
