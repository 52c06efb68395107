/* The one setting the module reads from cloudhsm-pkcs11.cfg. */
#ifndef CLOUDHSM_LOCAL_CONFIG_H
#define CLOUDHSM_LOCAL_CONFIG_H

#include "locate.h"

enum config_result { CONFIG_SILENT, CONFIG_FOUND, CONFIG_TOO_LONG };

/* The string under the key "socket", wherever it stands in this JSON file. */
enum config_result config_socket(const char *file, char path[]);

#endif
