#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

/// Why the program of a cell ended. Private to the module.
namespace hdap::ablation {

/// How many processes the kernel of this machine has killed for want of memory; nothing where it
/// does not say.
std::optional<std::uint64_t> kills_for_memory();

/// Why a program ended with `exit_code`, which is not 0: the signal that ended it, its own error
/// message or what it says it waits for, or the last thing that it printed. `log_begin`: where what
/// it printed begins in `log`. `memory_ran_out`: whether the kernel killed a process for want of
/// memory meanwhile.
std::string reason_of_end(int exit_code, const std::filesystem::path& log, std::uintmax_t log_begin,
                          bool memory_ran_out);

} // namespace hdap::ablation
