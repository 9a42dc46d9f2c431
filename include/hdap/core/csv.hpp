#pragma once

#include <string>
#include <string_view>

namespace hdap::core {

/// `text` as a field of a CSV file (RFC 4180): in quotes, with its own quotes doubled, where it
/// holds a comma, a quote or a line break; otherwise as it is.
std::string csv_field(std::string_view text);

} // namespace hdap::core
