#include "hdap/core/command.hpp"

#include "evaluators.hpp"
#include "hdap/accuracy/image_fit.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/scratch_folder.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace hdap::accuracy {
namespace {

namespace fs = std::filesystem;

const std::string placeholder = "{network}";

std::string content_of(const fs::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::optional<double> number_from(const std::string& line) {
    double value = 0.0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    const bool whole = error == std::errc() && end == line.data() + line.size();
    if (!whole || !(value >= 0.0 && value <= 1.0)) return std::nullopt;
    return value;
}

/// Why an outcome is no accuracy.
std::string problem_of(const core::CommandOutcome& outcome, double timeout_seconds) {
    if (outcome.end == core::CommandOutcome::End::timed_out)
        return fmt::format("did not end within {} s (accuracy.timeout_seconds)",
                           core::shortest(timeout_seconds));
    if (outcome.exit_code != 0) return fmt::format("ended with exit code {}", outcome.exit_code);
    const std::string line = core::quotable(core::last_line(outcome.output));
    if (line.empty()) return "printed nothing; its last line must be a number in [0, 1]";
    return fmt::format("printed '{}' last; expected a number in [0, 1], e.g. 0.761 for 76.1 %",
                       line);
}

/// What the program said last beside what `problem_of` quotes, to be appended to that.
std::string last_words(const core::CommandOutcome& outcome) {
    const std::string errors = core::quotable(core::last_line(outcome.errors));
    if (!errors.empty()) return "; its stderr ends: " + errors;
    const bool quoted = outcome.end == core::CommandOutcome::End::exited && outcome.exit_code == 0;
    const std::string output = core::quotable(core::last_line(outcome.output));
    return quoted || output.empty() ? "" : "; it printed last: " + output;
}

/// Measures candidates by running a program: it gets the candidate as a file, and the last line
/// that it prints is the accuracy. Each run is a process of its own.
class CommandEvaluator : public CandidateEvaluator {
  public:
    explicit CommandEvaluator(EvaluatorInputs inputs)
        : network_(inputs.network), recalibration_(std::move(inputs.recalibration)),
          // The program computes with what the file holds, whatever the engine rounds to.
          evaluation_({.batch = inputs.evaluation.batch, .precision = "float32"}),
          command_(std::move(inputs.command)) {
        check_weights_of(network_);
        check_command(command_);
        check_evaluation(evaluation_);
        if (recalibration_)
            check_fit(network_.network, *recalibration_, "images for recalibration");
    }

    [[nodiscard]] std::optional<CandidateAccuracy>
    accuracy(const network::Genome& genome, const EarlyStop& rule,
             const std::stop_token& cancelled) const override;

    [[nodiscard]] int workers(int threads) const override { return threads; }
    [[nodiscard]] bool gives_up() const override { return false; }
    [[nodiscard]] double chance_accuracy() const override { return 0.0; }
    /// The command is a setting; what it does is the user's to keep apart.
    [[nodiscard]] std::string identity() const override {
        return "command; " + computing_identity();
    }

  private:
    /// The file's network; nothing when `cancelled` was requested.
    [[nodiscard]] std::optional<network::PrunedNetwork>
    candidate(const network::Genome& genome, const std::stop_token& cancelled) const;

    const network::Prunable& network_;
    std::optional<ImageData> recalibration_;
    EvaluationParameters evaluation_;
    CommandParameters command_;
};

std::optional<network::PrunedNetwork>
CommandEvaluator::candidate(const network::Genome& genome, const std::stop_token& cancelled) const {
    network::PrunedNetwork pruned = network_.prune(genome);
    if (!recalibration_) return pruned;
    auto weights = recalibrate_batch_norm(pruned.network, pruned.weights, *recalibration_,
                                          evaluation_, cancelled);
    if (!weights) return std::nullopt;
    pruned.weights = std::move(*weights);
    return pruned;
}

std::optional<CandidateAccuracy>
CommandEvaluator::accuracy(const network::Genome& genome, const EarlyStop& /*rule*/,
                           const std::stop_token& cancelled) const {
    const auto pruned = candidate(genome, cancelled);
    if (!pruned) return std::nullopt;
    const core::ScratchFolder folder("hdap-candidate");
    const fs::path file = folder.path() / ("candidate." + command_.format);
    network::save_network(file, *pruned, network_.normalisation);
    const std::string command = core::with_word(command_.command, placeholder, file.string());
    core::CommandOutcome outcome;
    for (std::int64_t run = 0; run <= command_.retries; ++run) {
        outcome =
            core::run_command({"/bin/sh", "-c", command}, command_.timeout_seconds, cancelled);
        if (outcome.end == core::CommandOutcome::End::cancelled) return std::nullopt;
        if (outcome.end == core::CommandOutcome::End::exited && outcome.exit_code == 0)
            if (const auto number = number_from(core::last_line(outcome.output)))
                return CandidateAccuracy{*number, 0};
    }
    throw CandidateFailure(
        {.reason =
             fmt::format("accuracy.command `{}` {}, in {}{}", command_.command,
                         problem_of(outcome, command_.timeout_seconds),
                         core::counted(command_.retries + 1, "try", "tries"), last_words(outcome)),
         .output = core::printed_by(outcome),
         .network = content_of(file),
         .format = command_.format});
}

} // namespace

void check_command(const CommandParameters& parameters) {
    if (parameters.command.find(placeholder) == std::string::npos)
        throw core::ConfigError(fmt::format(
            "accuracy.command is '{}', but has no {}, which stands for the candidate's file",
            parameters.command, placeholder));
    // Not HDF5, whose library may be used by one thread alone.
    if (parameters.format != "onnx" && parameters.format != "pt")
        throw core::ConfigError(
            fmt::format("accuracy.format is '{}', must be onnx or pt", parameters.format));
    if (!(parameters.timeout_seconds > 0.0 && parameters.timeout_seconds <= 1e7))
        throw core::ConfigError(fmt::format("accuracy.timeout_seconds is {}, must be in (0, 1e7]",
                                            core::shortest(parameters.timeout_seconds)));
    if (parameters.retries < 0 || parameters.retries > 100)
        throw core::ConfigError(
            fmt::format("accuracy.retries is {}, must be in [0, 100]", parameters.retries));
}

std::unique_ptr<CandidateEvaluator> make_command_evaluator(EvaluatorInputs inputs) {
    return std::make_unique<CommandEvaluator>(std::move(inputs));
}

std::vector<core::Setting> settings_of(CommandParameters& parameters) {
    constexpr auto shapes = core::Outputs::search | core::Outputs::accuracies;
    return {core::text("command", parameters.command, {},
                       "E.g. \"python3 eval.py {network}\"; its last line is a number in [0, 1], "
                       "larger is better",
                       shapes),
            core::text("format", parameters.format, {"onnx", "pt"},
                       "Of the candidate's file, {network}", shapes),
            core::real("timeout_seconds", parameters.timeout_seconds, {0.0, 1e7, true},
                       "A run of the command that takes longer is killed", core::Outputs::nothing),
            core::integer("retries", parameters.retries, {0, 100},
                          "Runs more after one that failed", core::Outputs::nothing)};
}

} // namespace hdap::accuracy
