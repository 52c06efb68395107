/* The module under measurement: any PKCS#11 library. Every failure ends the program, so no row measures errors. */
#ifndef BENCH_MODULE_H
#define BENCH_MODULE_H

#include <stdbool.h>

#include "../../native/pkcs11/generated/include/cryptoki.h"

extern CK_FUNCTION_LIST_PTR p11;

/* Calls a function of the module; ends the program with its name and code if it fails. */
#define CALL(name, ...) check(p11->name(__VA_ARGS__), #name)

void check(CK_RV rv, const char *call);
/* Ends the program unless the result of the row is right. */
void expect(bool right, const char *what);
_Noreturn void fail(const char *what);

void load_module(const char *file);
void initialize(void);
/* A read-write session on the first initialised token. */
CK_SESSION_HANDLE open_session(void);
/* As the user whose PIN is in BENCH_PIN. */
void login(CK_SESSION_HANDLE session);

#endif
