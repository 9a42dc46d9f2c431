#pragma once

#include "hdap/core/settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace hdap::accuracy {

/// A program of the user's that measures a candidate: for detection, segmentation, private data.
struct CommandParameters {
    std::string command;           ///< for the shell; {network} stands for the candidate's file
    std::string format = "onnx";   ///< of that file: "onnx" or "pt"
    double timeout_seconds = 3600; ///< a run that takes longer is killed; (0, 10^7]
    std::int64_t retries = 1;      ///< runs more after one that failed; [0, 100]
};

/// Throws ConfigError when a parameter is out of its range or the command has no {network}.
void check_command(const CommandParameters& parameters);

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(CommandParameters& parameters);

} // namespace hdap::accuracy
