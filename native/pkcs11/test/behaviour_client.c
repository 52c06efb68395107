/* What programs are known to do to a module. Prints what happened, for test/interop/behaviours/ to judge;
 * the row numbers in the scenes are those of its tests.
 *   behaviour_client MODULE SCENE */
#include <string.h>

#include "behaviour_support.h"

int main(int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*play)(void);
  } scenes[] = {
      {"fork", scene_fork},
      {"cycle", scene_cycle},
      {"login-again", scene_login_again},
      {"events", scene_events},
      {"logins", scene_logins},
      {"initialize", scene_initialize},
      {"close-login", scene_close_login},
      {"close-generation", scene_close_generation},
      {"before-login", scene_before_login},
      {"at-exit", scene_at_exit},
      {"points", scene_points},
      {"close", scene_close},
      {"open", scene_open},
      {"killed", scene_killed},
      {"attributes", scene_attributes},
      {"pairs", scene_pairs},
      {"refused-pairs", scene_refused_pairs},
      {"flock", scene_flock},
      {"find-null", scene_find_null},
      {"gcm", scene_gcm},
      {"gcm-refused", scene_gcm_refused},
      {"cancel", scene_cancel},
      {"sizes", scene_sizes},
      {"lengths", scene_lengths},
      {"parts", scene_parts},
      {"refused", scene_refused},
      {"mixed", scene_mixed},
      {"shared", scene_shared},
      {"large-digests", scene_large_digests},
      {"digest-often", scene_digest_often},
      {"digest-forever", scene_digest_forever},
      {"signers", scene_signers},
      {"long-signers", scene_long_signers},
      {"sign-forever", scene_sign_forever},
      {"uninitialized", scene_uninitialized},
      {"unsupported", scene_unsupported},
      {"null", scene_null},
      {"wrap", scene_wrap},
      {"nested", scene_nested},
  };
  if (argc < 3) return 2;
  p = load_module(argv[1]);
  for (size_t i = 0; i < COUNT(scenes); i++) {
    if (strcmp(argv[2], scenes[i].name) != 0) continue;
    scenes[i].play();
    return 0;
  }
  return 2;
}
