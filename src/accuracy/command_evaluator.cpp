#include "hdap/accuracy/command_evaluator.hpp"

#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/load.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace hdap::accuracy {
namespace {

namespace fs = std::filesystem;

const std::string placeholder = "{network}";

/// A folder that is gone with this object.
class ScratchFolder {
  public:
    ScratchFolder() {
        std::string pattern = (fs::temp_directory_path() / "hdap-candidate-XXXXXX").string();
        if (::mkdtemp(pattern.data()) == nullptr)
            throw core::InternalError("cannot make a folder in " +
                                      fs::temp_directory_path().string() +
                                      "; set TMPDIR to one that can be written");
        path_ = pattern;
    }
    ~ScratchFolder() {
        std::error_code ignored;
        fs::remove_all(path_, ignored);
    }
    ScratchFolder(const ScratchFolder&) = delete;
    ScratchFolder& operator=(const ScratchFolder&) = delete;

    [[nodiscard]] const fs::path& path() const noexcept { return path_; }

  private:
    fs::path path_;
};

/// `text` as one word of the shell.
std::string quoted(const std::string& text) {
    std::string result = "'";
    for (const char c : text)
        result += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return result + "'";
}

std::string with_file(std::string command, const fs::path& file) {
    const std::string word = quoted(file.string());
    for (std::size_t at = command.find(placeholder); at != std::string::npos;
         at = command.find(placeholder, at + word.size()))
        command.replace(at, placeholder.size(), word);
    return command;
}

/// The last line that is not blank, without blanks around it.
std::string last_line(const std::string& text) {
    constexpr const char* blanks = " \t\r\n";
    const std::size_t last = text.find_last_not_of(blanks);
    if (last == std::string::npos) return "";
    const std::size_t before = text.find_last_of('\n', last);
    const std::size_t first =
        text.find_first_not_of(blanks, before == std::string::npos ? 0 : before);
    return text.substr(first, last - first + 1);
}

std::optional<double> figure_from(const std::string& line) {
    double value = 0.0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    const bool whole = error == std::errc() && end == line.data() + line.size();
    if (!whole || !(value >= 0.0 && value <= 1.0)) return std::nullopt;
    return value;
}

/// Why an outcome is no figure.
std::string problem_of(const core::CommandOutcome& outcome, double timeout_seconds) {
    if (outcome.end == core::CommandOutcome::End::timed_out)
        return "did not end within " + core::shortest(timeout_seconds) +
               " s (accuracy.timeout_seconds)";
    if (outcome.exit_code != 0) return "ended with exit code " + std::to_string(outcome.exit_code);
    const std::string line = last_line(outcome.output).substr(0, 200);
    if (line.empty()) return "printed nothing; its last line must be a number in [0, 1]";
    return "printed '" + line + "' last; expected a number in [0, 1], e.g. 0.761 for 76.1 %";
}

} // namespace

void check_command(const CommandParameters& parameters) {
    if (parameters.command.find(placeholder) == std::string::npos)
        throw core::ConfigError("accuracy.command is '" + parameters.command + "', but has no " +
                                placeholder + ", which stands for the candidate's file");
    // Not HDF5, whose library may be used by one thread alone.
    if (parameters.format != "onnx" && parameters.format != "pt")
        throw core::ConfigError("accuracy.format is '" + parameters.format +
                                "', must be onnx or pt");
    if (!(parameters.timeout_seconds > 0.0 && parameters.timeout_seconds <= 1e7))
        throw core::ConfigError("accuracy.timeout_seconds is " +
                                core::shortest(parameters.timeout_seconds) +
                                ", must be in (0, 1e7]");
    if (parameters.retries < 0 || parameters.retries > 100)
        throw core::ConfigError("accuracy.retries is " + std::to_string(parameters.retries) +
                                ", must be in [0, 100]");
}

CommandEvaluator::CommandEvaluator(network::Network network, network::Weights weights,
                                   network::SearchSpace space,
                                   std::vector<std::vector<std::int32_t>> ranked_channels,
                                   std::optional<ImageData> recalibration,
                                   const EvaluationParameters& evaluation,
                                   CommandParameters command)
    : network_(std::move(network)), weights_(std::move(weights)), space_(std::move(space)),
      ranked_channels_(std::move(ranked_channels)), recalibration_(std::move(recalibration)),
      evaluation_(evaluation), command_(std::move(command)) {
    check_command(command_);
    network::check_weights(network_, weights_);
}

std::optional<double> CommandEvaluator::accuracy(const network::Genome& genome,
                                                 const std::stop_token& cancelled) const {
    network::PrunedNetwork candidate =
        network::prune(network_, weights_, space_, ranked_channels_, genome);
    if (recalibration_)
        candidate.weights = recalibrate_batch_norm(candidate.network, candidate.weights,
                                                   *recalibration_, evaluation_);
    const ScratchFolder folder;
    const fs::path file = folder.path() / ("candidate." + command_.format);
    network::save_network(file, candidate);
    const std::string command = with_file(command_.command, file);
    core::CommandOutcome outcome;
    for (std::int64_t run = 0; run <= command_.retries; ++run) {
        outcome =
            core::run_command({"/bin/sh", "-c", command}, command_.timeout_seconds, cancelled);
        if (outcome.end == core::CommandOutcome::End::cancelled) return std::nullopt;
        if (outcome.end == core::CommandOutcome::End::exited && outcome.exit_code == 0)
            if (const auto figure = figure_from(last_line(outcome.output))) return figure;
    }
    const std::string errors = last_line(outcome.errors);
    throw core::DataError("accuracy.command `" + command_.command + "` " +
                          problem_of(outcome, command_.timeout_seconds) + ", in " +
                          std::to_string(command_.retries + 1) + " tries" +
                          (errors.empty() ? "" : "; its stderr ends: " + errors));
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
