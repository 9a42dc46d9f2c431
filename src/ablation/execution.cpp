#include "hdap/ablation/execution.hpp"

#include "cell_end.hpp"
#include "hdap/ablation/status.hpp"
#include "hdap/core/child_process.hpp"
#include "hdap/core/descriptor.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/progress.hpp"
#include "hdap/core/provenance.hpp"
#include "hdap/core/text.hpp"
#include "hdap/study/attempts.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using core::ExitCode;

/// A cell that a process of ours works on.
struct RunningCell {
    std::size_t cell;
    CellClaim claim;
    core::ChildProcess process;
    study::Attempt attempt;
    std::uintmax_t log_begin; ///< where the log of this attempt begins in the cell's log
    std::optional<std::uint64_t> kills_for_memory; ///< when it began
};

std::uintmax_t size_of(const fs::path& file) {
    std::error_code missing;
    const std::uintmax_t size = fs::file_size(file, missing);
    return missing ? 0 : size;
}

/// Starts a cell's program. What it prints is appended to `log`; it shares the claim. When this
/// process ends it gets SIGTERM, with which mpirun ends its ranks. A request for a checkpoint must
/// not end it before it has a handler.
core::ChildProcess start_program(const std::vector<std::string>& command, const fs::path& log,
                                 const CellClaim& claim) {
    const core::Descriptor output(
        ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
    if (!output.is_open())
        throw core::DataError(fmt::format("cannot open {}: {}", log.string(), ::strerror(errno)));
    return {command,
            {.output = output.number(),
             .errors = output.number(),
             .inherited = claim.descriptor(),
             .death_signal = SIGTERM,
             .ignored_signal = SIGUSR1,
             .owns_group = false}};
}

/// Runs some cells of a plan; see execute.
class Execution {
  public:
    Execution(const Plan& plan, const Folder& folder, const std::vector<std::size_t>& cells,
              const ExecutionParameters& parameters, core::Log& log, parallel::RunControl& control)
        : plan_(plan), folder_(folder), parameters_(parameters), log_(log), control_(control),
          total_(cells.size()) {
        for (const std::size_t cell : cells)
            if (is_complete(folder_, plan_.cells[cell]))
                ++result_.complete;
            else
                pending_.push_back(cell);
    }

    ExecutionResult run();

  private:
    void pass_on_requests();
    void end_finished();
    void end(RunningCell& running, int exit_code);
    void start_pending();
    bool start_or_settle(std::size_t index);
    RunningCell start(std::size_t index, CellClaim claim) const;
    std::vector<std::string> command_of(const Cell& cell) const;
    std::string name_of_cell(const Cell& cell) const;
    core::ProgressState progress() const;

    const Plan& plan_;
    const Folder& folder_;
    const ExecutionParameters& parameters_;
    core::Log& log_;
    parallel::RunControl& control_;
    std::size_t total_;
    std::deque<std::size_t> pending_;
    std::vector<RunningCell> running_;
    Clock::time_point next_look_{};
    int passed_on_ = 0;     ///< requests to stop
    bool stopping_ = false; ///< nothing is started any more
    ExecutionResult result_;
};

ExecutionResult Execution::run() {
    core::Progress shown(log_, static_cast<std::int64_t>(result_.complete));
    for (;;) {
        pass_on_requests();
        end_finished();
        if (!stopping_) start_pending();
        if (running_.empty() && (stopping_ || pending_.empty())) break;
        shown.show(progress());
        std::this_thread::sleep_for(20ms);
    }
    result_.stopped = result_.complete + result_.failed.size() + result_.waiting.size() < total_;
    const auto in_order = [](const auto& a, const auto& b) { return a.cell < b.cell; };
    std::sort(result_.failed.begin(), result_.failed.end(), in_order);
    std::sort(result_.waiting.begin(), result_.waiting.end(), in_order);
    return result_;
}

/// mpirun passes SIGUSR1 and SIGUSR2 on to its ranks; SIGTERM makes it end them.
void Execution::pass_on_requests() {
    if (control_.take_checkpoint_request())
        for (const RunningCell& running : running_)
            running.process.signal(SIGUSR1);
    const int requests = control_.stop_now_requested() ? 2 : (control_.stop_requested() ? 1 : 0);
    for (; passed_on_ < requests; ++passed_on_) {
        log_.info(
            fmt::format("asked to stop: waiting for {}", core::counted(running_.size(), "cell")));
        stopping_ = true;
        for (const RunningCell& running : running_)
            running.process.signal(SIGUSR2);
    }
}

void Execution::end_finished() {
    for (std::size_t i = 0; i < running_.size();) {
        const std::optional<int> exit_code = running_[i].process.try_wait();
        if (!exit_code) {
            ++i;
            continue;
        }
        end(running_[i], *exit_code);
        running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
    }
}

/// Notes how a cell's process ended.
void Execution::end(RunningCell& running, int exit_code) {
    constexpr int stopped = static_cast<int>(ExitCode::stopped);
    const Cell& cell = plan_.cells[running.cell];
    study::Attempt& attempt = running.attempt;
    const bool complete = exit_code == 0 && is_complete(folder_, cell);
    if (exit_code == 0 && !complete) {
        exit_code = static_cast<int>(ExitCode::internal_error);
        attempt.message = "ended with 0, but without an undamaged results.h5";
    } else if (exit_code != 0 && passed_on_ > 0) {
        exit_code = stopped; // whatever a launcher makes of it
    } else if (exit_code != 0 && exit_code != stopped) {
        attempt.message = reason_of_end(exit_code, folder_.log(cell), running.log_begin,
                                        running.kills_for_memory != kills_for_memory());
    }
    attempt.ended = core::utc_now();
    attempt.exit_code = exit_code;
    study::append_attempt_end(folder_.attempts(cell), attempt);
    if (complete) {
        ++result_.complete;
        return;
    }
    if (exit_code == static_cast<int>(ExitCode::waiting)) {
        result_.waiting.push_back({running.cell, attempt.message});
        log_.info(fmt::format("{}: {}", name_of_cell(cell), attempt.message));
        return;
    }
    pending_.push_back(running.cell);
    if (exit_code == stopped) {
        stopping_ = true; // its time was over, and so is ours
        return;
    }
    const CellStatus status = last_attempt(folder_, cell);
    log_.warning(fmt::format("{}: {}{} (see {})", name_of_cell(cell), status.reason,
                             is_settled(status, parameters_.retries) ? "; not tried again" : "",
                             folder_.log(cell).string()));
}

void Execution::start_pending() {
    if (Clock::now() < next_look_) return;
    std::vector<std::size_t> taken;
    while (!pending_.empty() && running_.size() < static_cast<std::size_t>(parameters_.workers)) {
        const std::size_t index = pending_.front();
        pending_.pop_front();
        if (!start_or_settle(index)) taken.push_back(index);
    }
    // Nothing but cells of other jobs is left: no need to look at them at once again.
    if (pending_.empty() && !taken.empty()) next_look_ = Clock::now() + 200ms;
    pending_.insert(pending_.end(), taken.begin(), taken.end());
}

/// Starts a cell, or finds that there is nothing to do. Returns false when another job has it.
bool Execution::start_or_settle(std::size_t index) {
    const Cell& cell = plan_.cells[index];
    std::optional<CellClaim> claim = CellClaim::take(folder_, cell);
    if (!claim) return false;
    if (is_complete(folder_, cell)) {
        ++result_.complete;
        return true;
    }
    const CellStatus status = last_attempt(folder_, cell);
    if (is_settled(status, parameters_.retries))
        result_.failed.push_back({index, status.exit_code, status.reason});
    else
        running_.push_back(start(index, std::move(*claim)));
    return true;
}

RunningCell Execution::start(std::size_t index, CellClaim claim) const {
    const Cell& cell = plan_.cells[index];
    const core::Provenance provenance = core::current_provenance();
    study::Attempt attempt;
    attempt.started = provenance.created;
    attempt.job = provenance.job;
    attempt.host = provenance.host;
    attempt.threads = parameters_.threads;
    study::append_attempt_start(folder_.attempts(cell), attempt);
    const std::uintmax_t log_begin = size_of(folder_.log(cell));
    const auto memory_kills = kills_for_memory();
    core::ChildProcess process = start_program(command_of(cell), folder_.log(cell), claim);
    return {index,     std::move(claim), std::move(process), std::move(attempt),
            log_begin, memory_kills};
}

std::vector<std::string> Execution::command_of(const Cell& cell) const {
    std::vector<std::string> command = parameters_.launcher;
    for (const std::string& word :
         {parameters_.program.string(), std::string("run"), plan_.base.string(),
          std::string("--out"), folder_.run_directory(cell).string(), std::string("--store"),
          folder_.store().string(), std::string("--threads"), std::to_string(parameters_.threads)})
        command.push_back(word);
    for (const std::string& text : cell.overrides) {
        command.emplace_back("--set");
        command.push_back(text);
    }
    if (parameters_.deadline) {
        const auto left =
            std::chrono::floor<std::chrono::seconds>(*parameters_.deadline - Clock::now());
        command.emplace_back("--time-limit");
        command.push_back(std::to_string(std::max<std::int64_t>(left.count(), 1)) + "s");
    }
    return command;
}

/// "cell 0123456789ab (100, single)"
std::string Execution::name_of_cell(const Cell& cell) const {
    return fmt::format("cell {} ({})", cell.id, core::join(cell.labels));
}

core::ProgressState Execution::progress() const {
    std::string detail = std::to_string(running_.size()) + " running";
    if (!result_.failed.empty()) detail += fmt::format(", {} failed", result_.failed.size());
    if (!result_.waiting.empty())
        detail += fmt::format(", {} waiting for measurements", result_.waiting.size());
    if (running_.empty()) detail += fmt::format(", {} in other jobs", pending_.size());
    return {.stage = "ablation",
            .position = plan_.name,
            .done = static_cast<std::int64_t>(result_.complete),
            .total = static_cast<std::int64_t>(total_),
            .unit = "cells",
            .detail = detail};
}

/// The index of the cell with number `text` of the manifest, which counts from 1.
std::optional<std::size_t> index_of_number(const Plan& plan, std::string_view text) {
    std::size_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size() || number < 1 ||
        number > plan.cells.size())
        return std::nullopt;
    return number - 1;
}

/// Adds what one part of a choice means: an id, a number, or two numbers with a dash.
void add_chosen(const Plan& plan, const std::string& part, std::set<std::size_t>& chosen) {
    const auto cell = std::find_if(plan.cells.begin(), plan.cells.end(),
                                   [&](const Cell& c) { return c.id == part; });
    if (cell != plan.cells.end()) {
        chosen.insert(static_cast<std::size_t>(cell - plan.cells.begin()));
        return;
    }
    const std::size_t dash = part.find('-');
    const auto first = index_of_number(plan, std::string_view(part).substr(0, dash));
    const auto last = dash == std::string::npos
                          ? first
                          : index_of_number(plan, std::string_view(part).substr(dash + 1));
    if (!first || !last || *first > *last)
        throw core::UsageError(
            fmt::format("--cells: '{}' chooses no cell of {}; give ids, or numbers from 1 to {} as "
                        "in 1-4,7: hdap ablate plan --dry-run shows both",
                        part, plan.name, plan.cells.size()));
    for (std::size_t index = *first; index <= *last; ++index)
        chosen.insert(index);
}

} // namespace

std::vector<std::size_t> choose_cells(const Plan& plan, const std::string& text) {
    std::set<std::size_t> chosen;
    if (text.empty())
        for (std::size_t index = 0; index < plan.cells.size(); ++index)
            chosen.insert(index);
    std::istringstream parts(text);
    for (std::string part; std::getline(parts, part, ',');)
        add_chosen(plan, part, chosen);
    return {chosen.begin(), chosen.end()};
}

core::ExitCode ExecutionResult::exit_code() const {
    if (stopped) return ExitCode::stopped;
    if (failed.empty()) return waiting.empty() ? ExitCode::complete : ExitCode::waiting;
    const int code = failed.front().exit_code;
    const bool known = code >= static_cast<int>(ExitCode::internal_error) &&
                       code <= static_cast<int>(ExitCode::infeasible);
    return known ? static_cast<ExitCode>(code) : ExitCode::internal_error;
}

ExecutionResult execute(const Plan& plan, const Folder& folder,
                        const std::vector<std::size_t>& cells,
                        const ExecutionParameters& parameters, core::Log& log,
                        parallel::RunControl& control) {
    return Execution(plan, folder, cells, parameters, log, control).run();
}

} // namespace hdap::ablation
