#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

namespace hdap::core {

/// What a rehearsal may take.
struct RehearsalLimits {
    std::chrono::seconds time{20}; ///< of a processor; ten times as much by the clock
    std::size_t memory_bytes = std::size_t{1} << 30U; ///< beyond what this process has
};

/// Does `work` in a copy of this process, so that code of others which does not survive every input
/// crashes, hangs or takes all memory there. When it returns, `work` may be done here, where it
/// takes the same way. What the copy prints is lost, and so is what it changes; it must not
/// communicate with other ranks, nor use threads.
/// Throws what `work` throws, when that is a core::Error, and DataError, which begins with "WHAT:
/// ", when the copy was ended by a signal or a limit. Complexity: that of `work`, and a fork.
void rehearse(const std::string& what, const RehearsalLimits& limits,
              const std::function<void()>& work);

} // namespace hdap::core
