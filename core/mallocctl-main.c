#include "ctl.h"

int main(int argc, char **argv)
{
  return mal_ctl_main(argc, argv);
}
