/* Counting checks: a test goes on after a failure and says where it was. */
#ifndef CLOUDHSM_LOCAL_TEST_CHECK_H
#define CLOUDHSM_LOCAL_TEST_CHECK_H

#include <stdbool.h>

#define CHECK_THAT(condition) check_that((condition), #condition, __FILE__, __LINE__)

bool check_that(bool condition, const char *what, const char *file, int line);
/* Prints the summary; the process's exit code. */
int check_summary(const char *name);

#endif
