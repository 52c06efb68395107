#define _GNU_SOURCE
#include "locate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define RUN_SOCKET "/run/engine.sock"
#define SYSTEM_SOCKET "/run/cloudhsm-local/engine.sock"
#define SYSTEM_CONFIG "/opt/cloudhsm/etc/cloudhsm-pkcs11.cfg"

static char remembered[sizeof(((struct location *)0)->path)];
static char config_path[PATH_MAX];
static pid_t config_process;

static bool set(struct location *location, const char *origin, const char *folder, const char *rest)
{
  location->origin = origin;
  int length = snprintf(location->path, sizeof location->path, "%s%s", folder, rest);
  return length >= 0 && length < SOCKET_PATH_ROOM;
}

/* An environment variable that says something. */
static const char *setting(const char *name)
{
  const char *value = getenv(name);
  return value != NULL && value[0] != 0 ? value : NULL;
}

/* The default places: the first that exists, else the first of all, which the complaint then names. */
static bool locate_default(struct location *location)
{
  const struct {
    const char *origin, *folder, *rest;
  } places[] = {
      {"XDG_STATE_HOME", setting("XDG_STATE_HOME"), "/cloudhsm-local" RUN_SOCKET},
      {"HOME", setting("HOME"), "/.local/state/cloudhsm-local" RUN_SOCKET},
      {"the system's folder", "", SYSTEM_SOCKET},
  };
  const int count = sizeof places / sizeof *places;
  for (int i = 0; i < count; i++) {
    if (places[i].folder == NULL) continue;
    bool fits = set(location, places[i].origin, places[i].folder, places[i].rest);
    if (fits && access(location->path, F_OK) == 0) return true;
  }
  for (int i = 0; i < count; i++) {
    if (places[i].folder != NULL) return set(location, places[i].origin, places[i].folder, places[i].rest);
  }
  return false;
}

/* A forked child whose environment was cleared keeps its parent's. */
static void locate_config_file(const char *named)
{
  if (named == NULL) {
    if (config_process == getpid()) config_path[0] = 0;
    return;
  }
  config_process = getpid();
  size_t length = 0;
  /* The engine is in another folder. */
  if (named[0] != '/' && getcwd(config_path, sizeof config_path - 1) != NULL) {
    length = strlen(config_path);
    config_path[length++] = '/';
  }
  /* One too long is cut, so that the engine finds no such file and says so. */
  snprintf(config_path + length, sizeof config_path - length, "%s", named);
}

const char *locate_config(void)
{
  return config_path;
}

bool locate_socket(struct location *location)
{
  const char *config = setting("CLOUDHSM_PKCS11_CONFIG");
  locate_config_file(config);
  const char *path = setting("CLOUDHSM_LOCAL_SOCKET");
  if (path != NULL) return set(location, "CLOUDHSM_LOCAL_SOCKET", path, "");
  path = setting("CLOUDHSM_LOCAL_HOME");
  if (path != NULL) return set(location, "CLOUDHSM_LOCAL_HOME", path, RUN_SOCKET);
  if (remembered[0] != 0) return set(location, "an earlier C_Initialize", remembered, "");
  location->origin = "the configuration file";
  enum config_result result = config_socket(config != NULL ? config : SYSTEM_CONFIG, location->path);
  if (result != CONFIG_SILENT) return result == CONFIG_FOUND;
  return locate_default(location);
}

void locate_remember(const char *path)
{
  size_t length = strlen(path);
  if (length < sizeof remembered) memcpy(remembered, path, length + 1);
}
