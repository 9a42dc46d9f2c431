#include "fleet/sources/device_commands.hpp"

#include "fleet/sources/measurement_plan.hpp"
#include "hdap/core/command.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/scratch_folder.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/latency_unit.hpp"
#include "hdap/fleet/telemetry.hpp"
#include "hdap/network/load.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <exception>
#include <fstream>
#include <mutex>
#include <optional>
#include <span>
#include <sstream>
#include <thread>
#include <utility>

namespace hdap::fleet {
namespace {

namespace fs = std::filesystem;

/// "12.3 ms" at the end of a line, behind whatever text.
std::optional<double> latency_in_line(const std::string& line) {
    const std::size_t digit = line.find_last_of("0123456789");
    if (digit == std::string::npos) return std::nullopt;
    const std::size_t name = line.find_first_not_of(' ', digit + 1);
    if (name == std::string::npos) return std::nullopt;
    const auto unit = unit_named(line.substr(name));
    const std::size_t before = line.find_last_not_of("0123456789.+-eE", digit);
    const std::size_t first = before == std::string::npos ? 0 : before + 1;
    double value = 0.0;
    const auto [end, error] = std::from_chars(line.data() + first, line.data() + digit + 1, value);
    // A decimal comma would leave the decimals alone.
    const bool is_whole =
        first == 0 || std::string_view(" \t=:(~").find(line[first - 1]) != std::string_view::npos;
    if (!unit || !is_whole || error != std::errc{} || end != line.data() + digit + 1)
        return std::nullopt;
    return in_ms(value, *unit);
}

/// Why a command brought no latency; nothing when it ended well.
std::string problem_of(const core::CommandOutcome& outcome, const LatencyCommand& command) {
    std::string problem;
    if (outcome.end == core::CommandOutcome::End::timed_out)
        problem = fmt::format("did not end within {} s (latency.timeout_seconds)",
                              core::shortest(command.timeout_seconds));
    else if (outcome.exit_code != 0)
        problem = fmt::format("ended with exit code {}", outcome.exit_code);
    else
        return "";
    const std::string errors = core::quotable(core::last_line(outcome.errors));
    return errors.empty() ? problem : problem + "; its stderr ends: " + errors;
}

/// What a command printed in a format of hdap fleet import, of one device.
Fleet fleet_in(const std::string& output) {
    std::istringstream input(output);
    ImportRequest request;
    request.source = "its output";
    request.sku = "one";
    request.device = "one";
    request.benchmark = "one";
    request.any_unit = true; // candidates differ by orders of magnitude
    return import_telemetry(input, request);
}

void take(const Fleet& fleet, std::size_t benchmark, CandidateMeasurement& measurement) {
    measurement.latency_ms = fleet.latency_ms[benchmark];
    measurement.runs = fleet.spreads.empty() ? 1 : fleet.spreads[benchmark].runs;
    measurement.origin = fleet.origins.front().tool;
}

bool takes_several(const LatencyCommand& command) {
    return command.command.find("{networks}") != std::string::npos;
}

bool has_latency(const CandidateMeasurement& measurement) {
    return !std::isnan(measurement.latency_ms);
}

/// The measuring of all queues.
class Measuring {
  public:
    Measuring(const LatencyCommand& command, std::int64_t batch, std::int64_t runs,
              const network::Prunable& network, MeasurementLog& log, fs::path folder,
              const parallel::Job& job)
        : command_(command), batch_(batch), runs_(runs), network_(network), log_(log),
          folder_(std::move(folder)), job_(job),
          at_once_(takes_several(command) ? static_cast<std::size_t>(command.networks_at_once)
                                          : 1) {}

    CommandsOutcome run(const std::vector<DeviceQueue>& queues);

  private:
    using Candidates = std::span<const CandidateToMeasure>;

    void work(const std::vector<DeviceQueue>& queues);
    void measure_queue(const DeviceQueue& queue);
    bool settle(const DeviceQueue& queue, std::vector<CandidateMeasurement>& failures,
                const fs::path& scratch);
    void give_up(const DeviceQueue& queue, const CandidateMeasurement& last);
    void log_failures(std::vector<CandidateMeasurement>& failures);
    /// As `measure`, with the probe as an anchor.
    std::optional<std::vector<CandidateMeasurement>>
    measure_anchored(Candidates candidates, const DeviceQueue& queue, const fs::path& scratch);
    /// What became of the candidates, which one call of the command measures; nothing when it was
    /// cancelled.
    std::optional<std::vector<CandidateMeasurement>>
    measure(Candidates candidates, const std::string& device, const fs::path& scratch);
    [[nodiscard]] std::string command_for(Candidates candidates, const std::string& device,
                                          const fs::path& scratch) const;
    [[nodiscard]] std::vector<CandidateMeasurement>
    read_outcome(Candidates candidates, const std::string& device,
                 const core::CommandOutcome& outcome) const;
    void keep_printed(Candidates candidates, const std::string& device,
                      const core::CommandOutcome& outcome) const;
    [[nodiscard]] bool is_over() const { return job_.control.stop_requested() || broken_; }
    void watch(std::int64_t total);

    const LatencyCommand& command_;
    std::int64_t batch_;
    std::int64_t runs_;
    const network::Prunable& network_;
    MeasurementLog& log_;
    fs::path folder_;
    const parallel::Job& job_;
    std::size_t at_once_; ///< candidates that one call measures

    std::stop_source cancel_;
    std::atomic<std::size_t> next_queue_ = 0;
    std::atomic<std::int64_t> done_ = 0;
    std::atomic<int> working_ = 0;
    std::atomic<bool> broken_ = false; ///< by an error of ours
    std::mutex mutex_;                 ///< of what follows
    CommandsOutcome outcome_;
    std::exception_ptr error_;
};

CommandsOutcome Measuring::run(const std::vector<DeviceQueue>& queues) {
    std::int64_t total = 0;
    for (const DeviceQueue& queue : queues)
        total += std::ssize(queue.candidates);
    const auto side_by_side =
        std::min(queues.size(), static_cast<std::size_t>(command_.devices_at_once));
    working_ = static_cast<int>(side_by_side);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < side_by_side; ++i)
            threads.emplace_back([&] { work(queues); });
        watch(total);
    }
    if (error_) std::rethrow_exception(error_);
    outcome_.stopped = job_.control.stop_requested();
    return outcome_;
}

/// Shows how far it is, and passes on what the job is asked for, until all threads are done.
void Measuring::watch(std::int64_t total) {
    core::Progress progress(job_.log);
    while (working_ > 0) {
        if (job_.control.stop_now_requested()) cancel_.request_stop();
        progress.show({.stage = "measure",
                       .position = {},
                       .done = done_,
                       .total = total,
                       .unit = "measurements",
                       .detail = {}});
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
}

/// Of one thread: takes devices until there are no more.
void Measuring::work(const std::vector<DeviceQueue>& queues) {
    try {
        for (std::size_t i = next_queue_++; i < queues.size() && !is_over(); i = next_queue_++)
            measure_queue(queues[i]);
    } catch (...) {
        const std::lock_guard lock(mutex_);
        error_ = std::current_exception();
        broken_ = true;
    }
    --working_;
}

void Measuring::measure_queue(const DeviceQueue& queue) {
    constexpr std::size_t most_failures = 3;
    const core::ScratchFolder scratch("hdap-candidate");
    const Candidates all = queue.candidates;
    std::vector<CandidateMeasurement> failures; // since the device last answered
    std::size_t at_once = at_once_;
    for (std::size_t first = 0; first < all.size() && !is_over();) {
        const Candidates some = all.subspan(first, std::min(at_once, all.size() - first));
        const auto measured = queue.anchored && at_once > 1
                                  ? measure_anchored(some, queue, scratch.path())
                                  : measure(some, queue.device, scratch.path());
        if (!measured) return;
        const bool answered = std::any_of(measured->begin(), measured->end(), has_latency);
        if (!answered && some.size() > 1) {
            at_once = 1; // one of them may be at fault
            continue;
        }
        for (const CandidateMeasurement& one : *measured)
            if (has_latency(one))
                log_.append(one);
            else
                failures.push_back(one);
        if (answered) log_failures(failures);
        if (failures.size() >= most_failures && !settle(queue, failures, scratch.path())) return;
        first += some.size();
        done_ += std::ssize(some);
    }
    settle(queue, failures, scratch.path());
}

/// Whose fault failures are: the candidates' when the device still measures the unpruned network;
/// else it is given up, and false. Nothing when there are none, or it was cancelled.
bool Measuring::settle(const DeviceQueue& queue, std::vector<CandidateMeasurement>& failures,
                       const fs::path& scratch) {
    if (failures.empty()) return true;
    const auto probe = measure(Candidates(&queue.probe, 1), queue.device, scratch);
    if (!probe) return false;
    if (!has_latency(probe->front())) {
        give_up(queue, failures.back());
        return false;
    }
    log_failures(failures);
    return true;
}

void Measuring::give_up(const DeviceQueue& queue, const CandidateMeasurement& last) {
    const std::lock_guard lock(mutex_);
    outcome_.unreachable.push_back(
        fmt::format("'{}' ({})", core::printable(queue.device), last.failure));
}

void Measuring::log_failures(std::vector<CandidateMeasurement>& failures) {
    for (const CandidateMeasurement& failure : failures) {
        log_.append(failure);
        const std::lock_guard lock(mutex_);
        if (outcome_.failed++ == 0)
            outcome_.first_failure = fmt::format("{} on '{}' {}", failure.candidate,
                                                 core::printable(failure.device), failure.failure);
    }
    failures.clear();
}

std::string Measuring::command_for(Candidates candidates, const std::string& device,
                                   const fs::path& scratch) const {
    std::string files;
    for (const CandidateToMeasure& candidate : candidates) {
        const fs::path file = scratch / (candidate.name + "." + command_.format);
        network::save_network(file, network_.prune(candidate.genome), network_.normalisation);
        files += (files.empty() ? "" : " ") + core::shell_word(file.string());
    }
    std::string text = core::with_text(command_.command, "{networks}", files);
    text = core::with_text(text, "{network}", files);
    text = core::with_word(text, "{batch}", std::to_string(batch_));
    text = core::with_word(text, "{runs}", std::to_string(runs_));
    return core::with_word(text, "{device}", device);
}

std::optional<std::vector<CandidateMeasurement>>
Measuring::measure_anchored(Candidates candidates, const DeviceQueue& queue,
                            const fs::path& scratch) {
    std::vector<CandidateToMeasure> call(candidates.begin(), candidates.end());
    const auto is_anchor = [&](const auto& one) { return one.name == queue.probe.name; };
    if (std::none_of(call.begin(), call.end(), is_anchor)) call.push_back(queue.probe);
    auto measured = measure(call, queue.device, scratch);
    if (!measured) return std::nullopt;
    const auto anchor = std::find_if(call.begin(), call.end(), is_anchor) - call.begin();
    const double anchor_ms = (*measured)[static_cast<std::size_t>(anchor)].latency_ms;
    for (CandidateMeasurement& one : *measured)
        one.anchor_ms = anchor_ms;
    measured->resize(candidates.size());
    return measured;
}

std::optional<std::vector<CandidateMeasurement>>
Measuring::measure(Candidates candidates, const std::string& device, const fs::path& scratch) {
    const std::string text = command_for(candidates, device, scratch);
    std::vector<CandidateMeasurement> measured;
    for (std::int64_t attempt = 0; attempt <= command_.retries; ++attempt) {
        const core::CommandOutcome outcome = core::run_command(
            {"/bin/sh", "-c", text}, command_.timeout_seconds, cancel_.get_token());
        if (outcome.end == core::CommandOutcome::End::cancelled) return std::nullopt;
        measured = read_outcome(candidates, device, outcome);
        keep_printed(candidates, device, outcome);
        if (measured.front().failure.empty()) break;
    }
    for (const CandidateToMeasure& candidate : candidates)
        fs::remove(scratch / (candidate.name + "." + command_.format));
    return measured;
}

std::vector<CandidateMeasurement>
Measuring::read_outcome(Candidates candidates, const std::string& device,
                        const core::CommandOutcome& outcome) const {
    std::vector<CandidateMeasurement> measured;
    for (const CandidateToMeasure& candidate : candidates) {
        CandidateMeasurement& one = measured.emplace_back();
        one.candidate = candidate.name;
        one.device = device;
        one.origin = command_.setting;
        one.failure = problem_of(outcome, command_);
    }
    if (!measured.front().failure.empty()) return measured;
    try {
        if (at_once_ > 1)
            read_printed_table(outcome.output, measured);
        else
            read_printed_latency(outcome.output, measured.front());
    } catch (const core::DataError& error) {
        for (CandidateMeasurement& one : measured)
            one.failure = error.what();
    }
    return measured;
}

void Measuring::keep_printed(Candidates candidates, const std::string& device,
                             const core::CommandOutcome& outcome) const {
    const fs::path folder = folder_ / "printed" / as_file_name(device);
    std::error_code ignored; // what is measured is in the log; this is for a user to look at
    fs::create_directories(folder, ignored);
    for (const CandidateToMeasure& candidate : candidates)
        std::ofstream(folder / (candidate.name + ".txt")) << core::printed_by(outcome);
}

} // namespace

LatencyCommand sustained_command(const LatencyCommand& usual, const SustainedLoad& load) {
    LatencyCommand command = usual;
    command.setting = "latency.sustained_command";
    if (load.command.find("{network}") == std::string::npos ||
        load.command.find("{networks}") != std::string::npos)
        throw core::ConfigError(
            fmt::format("{} is '{}'; it measures one candidate, whose file {{network}} stands for",
                        command.setting, load.command));
    command.command = core::with_word(load.command, "{seconds}", core::shortest(load.seconds));
    command.timeout_seconds += load.seconds;
    return command;
}

void check_latency_command(const LatencyCommand& command) {
    if (command.command.find("{network}") == std::string::npos && !takes_several(command))
        throw core::ConfigError(fmt::format(
            "latency.command is '{}', but has no {{network}}, which stands for the candidate's "
            "file, and no {{networks}}, which stands for several",
            command.command));
}

void read_printed_latency(const std::string& output, CandidateMeasurement& measurement) {
    const std::string line = core::last_line(output);
    if (line.empty())
        throw core::DataError("printed nothing; expected a latency with its unit, '12.3 ms'");
    if (const auto latency = latency_in_line(line)) {
        if (!(*latency >= smallest_latency_ms && *latency <= largest_latency_ms))
            throw core::DataError(fmt::format("printed '{}' last; expected a positive latency",
                                              core::quotable(line)));
        measurement.latency_ms = *latency;
        measurement.runs = 1;
        return;
    }
    try {
        const Fleet fleet = fleet_in(output);
        if (fleet.latency_ms.size() != 1)
            throw core::DataError(fmt::format("it has latencies of {} and {}",
                                              core::counted(fleet.devices(), "device"),
                                              core::counted(fleet.benchmarks(), "benchmark")));
        take(fleet, 0, measurement);
    } catch (const core::Error& error) {
        throw core::DataError(fmt::format("printed '{}' last; expected a latency with its unit, "
                                          "'12.3 ms', or a format of hdap fleet import ({})",
                                          core::quotable(line), error.what()));
    }
}

void read_printed_table(const std::string& output, std::span<CandidateMeasurement> measurements) {
    Fleet fleet;
    try {
        fleet = fleet_in(output);
    } catch (const core::Error& error) {
        throw core::DataError(fmt::format("printed '{}' last; expected a table with the columns "
                                          "benchmark and latency_ms, or the like ({})",
                                          core::quotable(core::last_line(output)), error.what()));
    }
    for (CandidateMeasurement& one : measurements) {
        const auto found = std::find_if(
            fleet.benchmark_names.begin(), fleet.benchmark_names.end(),
            [&](const std::string& name) { return name.find(one.candidate) != std::string::npos; });
        if (fleet.devices() == 1 && found != fleet.benchmark_names.end())
            take(fleet, static_cast<std::size_t>(found - fleet.benchmark_names.begin()), one);
        else
            one.failure = "is not in the table that was printed";
    }
}

CommandsOutcome measure_by_command(const std::vector<DeviceQueue>& queues,
                                   const LatencyCommand& command, std::int64_t batch,
                                   std::int64_t runs, const network::Prunable& network,
                                   MeasurementLog& log, const fs::path& folder,
                                   const parallel::Job& job) {
    return Measuring(command, batch, runs, network, log, folder, job).run(queues);
}

} // namespace hdap::fleet
