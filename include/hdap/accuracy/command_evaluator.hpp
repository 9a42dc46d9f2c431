#pragma once

#include "hdap/accuracy/evaluator.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/settings.hpp"
#include "hdap/network/prune.hpp"

#include <cstdint>
#include <optional>
#include <stop_token>
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

/// Measures candidates by running a program: it gets the candidate as a file, and the last line
/// that it prints is the accuracy, or any other figure in [0, 1] that is better when larger.
///
/// Thread-safe: several threads may call `accuracy` at once; each run is a process of its own.
class CommandEvaluator {
  public:
    /// `recalibration`: images for the candidates' batch norms, as in Evaluator; without them the
    /// candidates keep the statistics of the unpruned network.
    /// Throws ConfigError as check_command, DataError when network and weights do not fit.
    CommandEvaluator(network::Network network, network::Weights weights, network::SearchSpace space,
                     std::vector<std::vector<std::int32_t>> ranked_channels,
                     std::optional<ImageData> recalibration, const EvaluationParameters& evaluation,
                     CommandParameters command);

    /// The figure; nothing when `cancelled` was requested, which kills the program.
    /// Throws DataError when the program fails, hangs or prints no such number, in all tries: says
    /// the command, how it ended and what it printed last.
    [[nodiscard]] std::optional<double> accuracy(const network::Genome& genome,
                                                 const std::stop_token& cancelled) const;

  private:
    network::Network network_;
    network::Weights weights_;
    network::SearchSpace space_;
    std::vector<std::vector<std::int32_t>> ranked_channels_;
    std::optional<ImageData> recalibration_;
    EvaluationParameters evaluation_;
    CommandParameters command_;
};

/// The settings of `parameters`, which must outlive them.
std::vector<core::Setting> settings_of(CommandParameters& parameters);

} // namespace hdap::accuracy
