/* Worlds of MASC, any number of them: soak.h. */
#include "masc-world.h"
#include "soak.h"

int main(int argc, char **argv)
{
  return mal_soak_main(&mal_masc_world_type, argc, argv);
}
