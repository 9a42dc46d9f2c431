#pragma once

#include "hdap/fleet/anatomy.hpp"
#include "hdap/fleet/fleet.hpp"

#include <nlohmann/json.hpp>

namespace hdap::cli {

/// Prints what differs between the devices of `fleet`, as tables for a terminal and a verdict.
void print_anatomy(const fleet::Fleet& fleet, const fleet::FleetAnatomy& anatomy);

/// The same as JSON: shares and relative differences as numbers, 0.01 is 1 %.
nlohmann::ordered_json anatomy_document(const fleet::Fleet& fleet,
                                        const fleet::FleetAnatomy& anatomy);

} // namespace hdap::cli
