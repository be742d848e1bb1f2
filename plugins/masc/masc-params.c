#include "masc-params.h"

void masc_params_init(MascParams *params)
{
  *params = (MascParams){
    .waiting_period = MASC_WAITING_PERIOD,
    .initiate_claim_delay = MASC_INITIATE_CLAIM_DELAY,
    .prefix_lifetime = INT64_C(30) * 86400,
    .renew_interval = INT64_C(2) * 86400,
    .plan_interval = 86400 / 2,
    .extra_holding = 86400,
    .clash = MASC_CLASH_AUTOMATIC,
    .flood_limit = 32,
    .unit4 = 24,
    .unit6 = 120,
    .claim = true,
  };
}
