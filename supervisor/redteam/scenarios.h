/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "redteam/redteam.h"

/* One file each. */
extern const struct scenario scenario_rt02;
extern const struct scenario scenario_rt03;
extern const struct scenario scenario_rt09;
extern const struct scenario scenario_rt10;
extern const struct scenario scenario_rt11;
extern const struct scenario scenario_rt12;
extern const struct scenario scenario_rt15;
extern const struct scenario scenario_rt16;
