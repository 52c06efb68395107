#include "check.h"

#include <stdio.h>

static unsigned passed, failed;

bool check_that(bool condition, const char *what, const char *file, int line)
{
  if (condition) {
    passed++;
  } else {
    failed++;
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
  }
  return condition;
}

int check_summary(const char *name)
{
  printf("%s: %u checks passed, %u failed\n", name, passed, failed);
  return failed == 0 ? 0 : 1;
}
