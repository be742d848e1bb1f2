/* Worlds of MADCAP, any number of them: soak.h. */
#include "madcap-world.h"
#include "soak.h"

int main(int argc, char **argv)
{
  return mal_soak_main(&mal_madcap_world_type, argc, argv);
}
