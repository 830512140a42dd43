/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#define bpf_core_read(to, bytes, from) memcpy(to, from, bytes)
