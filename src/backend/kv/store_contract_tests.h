// SPDX-License-Identifier: Apache-2.0
// All tests that every engine passes; see store_contract.h.
#pragma once

#include "backend/kv/store_contract_commits.h"
#include "backend/kv/store_contract_crash.h"
#include "backend/kv/store_contract_random.h"
#include "backend/kv/store_contract_records.h"
