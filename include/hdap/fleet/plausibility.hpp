#pragma once

#include "hdap/fleet/fleet.hpp"

#include <string>
#include <vector>

namespace hdap::fleet {

/// Whether a name is a number that lost digits: "3.56938E+14", as spreadsheets write a number of
/// more digits than a cell shows. Hexadecimal ones such as "4e123456" are none: spreadsheets have
/// no number as large.
bool is_rounded_number(const std::string& name);

/// What a valid fleet's latencies and names make one doubt, as sentences for the user, with the
/// names of the first few:
/// - devices that form a group of their own, more than five times as slow or as fast as the next
///   one on their median benchmark; near a power of a thousand they are in other units;
/// - benchmarks of which the next one takes more than a hundred times as long;
/// - single latencies a hundred times off what their device and benchmark take otherwise;
/// - medians below 0.02 ms or above a minute throughout;
/// - benchmarks on which ten or more devices have one latency;
/// - benchmarks that fewer than half of the devices were measured on;
/// - names that differ by blanks or by the case of letters only, rounded numbers, names that are
///   not in UTF-8.
///
/// Empty for a fleet that is plausible. Complexity: O(devices · (benchmarks + log devices)).
std::vector<std::string> doubts_about(const Fleet& fleet);

/// Those of the doubts that are of devices or benchmarks near a power of a thousand off the rest,
/// which thus are in another unit.
std::vector<std::string> other_units(const Fleet& fleet);

} // namespace hdap::fleet
