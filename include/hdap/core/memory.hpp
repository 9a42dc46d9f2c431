#pragma once

#include <cstddef>
#include <optional>
#include <string>

namespace hdap::core {

/// How many bytes more this process can have without others losing theirs, as Linux estimates it
/// (MemAvailable), and as the limit of its control group allows. Nothing where neither is told.
std::optional<std::size_t> available_memory();

/// "3.4 GB", "120 MB".
std::string memory_text(std::size_t bytes);

/// Throws InternalError when `bytes` are not available, before anything is begun: `what` needs so
/// much, so much is there.
void require_memory(std::size_t bytes, const std::string& what);

} // namespace hdap::core
