/* Worlds of AAP, any number of them: soak.h. */
#include "aap-world.h"
#include "soak.h"

int main(int argc, char **argv)
{
  return mal_soak_main(&mal_aap_world_type, argc, argv);
}
