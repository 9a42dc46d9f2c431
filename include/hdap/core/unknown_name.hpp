#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hdap::core {

/// "unknown latency source 'recoded' (did you mean 'recorded'?); known: simulated, recorded": the
/// message about a name that is none of the `known` ones. `what` says what it names. Control
/// characters of the name are shown as question marks, and no more than its beginning is shown.
std::string unknown_name(std::string_view what, std::string_view name,
                         std::span<const std::string> known);

} // namespace hdap::core
