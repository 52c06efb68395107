/* Where the engine's socket is. */
#ifndef CLOUDHSM_LOCAL_LOCATE_H
#define CLOUDHSM_LOCAL_LOCATE_H

#include <stdbool.h>
#include <sys/un.h>

/* A socket's path with its terminator: 108 bytes on Linux, 104 on macOS. */
#define SOCKET_PATH_ROOM ((int)sizeof(((struct sockaddr_un *)0)->sun_path))

struct location {
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
  const char *origin; /* which setting gave it, for a complaint */
};

/* False: the path does not fit a socket's address. */
bool locate_socket(struct location *location);
/* The cloudhsm-pkcs11.cfg that the environment named when the socket was located: an absolute path, which the engine
 * reads; empty where it named none. */
const char *locate_config(void);
/* The path that worked, for a forked child or a later C_Initialize whose environment was cleared: nginx does
 * that to its workers. */
void locate_remember(const char *path);

#endif
