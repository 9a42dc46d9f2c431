#include "fleet/sources/measured.hpp"

#include "fleet/sources/device_commands.hpp"
#include "fleet/sources/live.hpp"
#include "fleet/sources/measurement_plan.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/network/network_file.hpp"
#include "hdap/network/weights.hpp"
#include "hdap/storage/file_lock.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/user_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <optional>
#include <set>
#include <utility>

namespace hdap::fleet {
namespace {

namespace fs = std::filesystem;

Fleet read_fleet_file(const std::string& file) {
    const auto read = [](const storage::Hdf5Reader& content) {
        storage::read_identity(content, fleet_schema);
        return read_fleet(content);
    };
    return read(storage::open_user_file(file, read));
}

/// Stands for devices and latencies, by content.
std::string identity_of(const Fleet& fleet) {
    std::string text = fleet.sku;
    for (const std::string& device : fleet.device_ids)
        text += "\n" + device;
    for (const std::string& benchmark : fleet.benchmark_names)
        text += "\n" + benchmark;
    const auto* const bytes = reinterpret_cast<const char*>(fleet.latency_ms.data());
    text.append(bytes, fleet.latency_ms.size() * sizeof(double));
    return core::sha256_hex(std::string_view(text));
}

/// Who measures candidates.
enum class MeasuredBy { user, command, ranks };

/// "'a', 'b', 'c' and 4 more devices"
std::string devices_of(const std::vector<DeviceQueue>& queues) {
    constexpr std::size_t most = 3;
    std::vector<std::string> names;
    std::set<std::string> devices;
    for (const DeviceQueue& queue : queues)
        if (devices.insert(queue.device).second && names.size() < most)
            names.push_back(fmt::format("'{}'", core::printable(queue.device)));
    const std::size_t more = devices.size() - names.size();
    return core::join(names) +
           (more == 0 ? "" : fmt::format(" and {}", core::counted(more, "more device")));
}

/// The queues of what is measured of this quantity.
std::vector<DeviceQueue> queues_of(const std::vector<DeviceQueue>& queues, Quantity quantity) {
    std::vector<DeviceQueue> chosen;
    std::ranges::copy_if(queues, std::back_inserter(chosen),
                         [&](const DeviceQueue& queue) { return queue.quantity == quantity; });
    return chosen;
}

PlannedMeasurement::State state_of(const std::optional<double>& known_ms) {
    using State = PlannedMeasurement::State;
    if (!known_ms) return State::outstanding;
    return std::isnan(*known_ms) ? State::failed : State::measured;
}

/// One under continuous load, which evens out what differs from minute to minute.
std::int64_t rounds_of(const MeasurementRequest& request, Quantity quantity) {
    return request.anew && quantity == Quantity::latency ? request.anew->rounds : 1;
}

/// Whether what is measured at different times is to be told as of one.
bool is_anchored(const MeasurementRequest& request, Quantity quantity) {
    return !request.anew && quantity == Quantity::latency;
}

/// Where measurements lie. `measured` stands for the fleet, the network and the batch.
fs::path folder_of(const LatencySourceParameters& parameters, const std::string& measured,
                   MeasuredBy by) {
    if (parameters.measured_how.empty()) return parameters.measurements;
    std::string text = measured + "\n" + parameters.measured_how;
    if (by == MeasuredBy::command)
        text += "\n" + parameters.command.format + "\n" + parameters.command.command;
    if (by == MeasuredBy::ranks) text += "\nlive";
    constexpr std::size_t digits = 16;
    return fs::path(parameters.measurements) /
           core::sha256_hex(std::string_view(text)).substr(0, digits);
}

/// Devices of a file, and what is measured on them. The fleet lives on the root.
class MeasuredSource final : public LatencySource {
  public:
    MeasuredSource(LatencySourceParameters parameters, network::Prunable network, Fleet fleet,
                   std::string identity, MeasuredBy by)
        : parameters_(std::move(parameters)), network_(std::move(network)),
          graph_(network::network_as_json(network_.network)), fleet_(std::move(fleet)),
          identity_(std::move(identity)), by_(by),
          folder_(folder_of(parameters_, identity_ + name_of(network_.space.unpruned()), by_)) {}

    [[nodiscard]] std::string identity() const override { return identity_; }

    [[nodiscard]] std::optional<Fleet> fleet(const parallel::Job& job) override {
        return job.communicator.is_root() ? fleet_ : Fleet();
    }

    [[nodiscard]] std::vector<network::Genome>
    candidates(std::vector<network::Genome> wanted) const override {
        return wanted;
    }

    [[nodiscard]] std::string lacks_for(Quantity quantity) const override;

    [[nodiscard]] std::optional<std::vector<double>>
    latencies_ms(const MeasurementRequest& request, const parallel::Job& job) override;

    [[nodiscard]] std::optional<std::vector<double>>
    true_values(Quantity /*quantity*/, const network::Genome& /*genome*/,
                std::span<const std::int32_t> /*devices*/) const override {
        return std::nullopt;
    }

    /// What it measured for surrogates is of other times than what it is held against.
    [[nodiscard]] std::optional<std::vector<double>>
    measured_latencies_ms(const network::Genome& /*genome*/,
                          std::span<const std::int32_t> /*devices*/) const override {
        return std::nullopt;
    }

  private:
    MeasurementLog& log() const;
    [[nodiscard]] const std::string& device(std::int32_t index) const;
    [[nodiscard]] std::string name_of(const network::Genome& genome,
                                      const std::string& how = "") const {
        return candidate_name(graph_, genome, parameters_.batch, how);
    }
    [[nodiscard]] std::string how_measured(const MeasurementRequest& request, Quantity quantity,
                                           std::int64_t round) const;
    [[nodiscard]] std::vector<CandidateToMeasure> candidates_of(const MeasurementRequest& request,
                                                                Quantity quantity) const;
    [[nodiscard]] MeasurementPlan plan_for(const MeasurementRequest& request) const;
    void add_to_plan(const MeasurementRequest& request, Quantity quantity,
                     MeasurementPlan& plan) const;
    [[nodiscard]] std::optional<storage::FileLock> take_turn(const parallel::Job& job) const;
    bool measure(const MeasurementPlan& plan, const MeasurementRequest& request,
                 const parallel::Job& job) const;
    bool measure(const std::vector<DeviceQueue>& queues, const LatencyCommand& command,
                 const MeasurementRequest& request, const parallel::Job& job) const;
    void require_enough(const MeasurementRequest& request, const parallel::Job& job) const;
    void ask_for(MeasurementPlan plan, const MeasurementRequest& request) const;
    [[nodiscard]] std::vector<double> look_up(const MeasurementRequest& request) const;
    [[nodiscard]] double median_anchor_ms(const std::vector<CandidateToMeasure>& candidates,
                                          const std::string& device) const;
    [[nodiscard]] double median_ms(const std::vector<CandidateToMeasure>& candidates,
                                   std::size_t first, std::size_t step, const std::string& device,
                                   double anchor_ms) const;

    LatencySourceParameters parameters_;
    network::Prunable network_; ///< with weights, so that it can be written
    std::string graph_;         ///< of its candidates' names
    Fleet fleet_;               ///< root
    std::string identity_;
    MeasuredBy by_;
    fs::path folder_;
    mutable std::optional<MeasurementLog> log_; ///< root; opened when it is needed
};

/// The run directory that it mostly lies in is made after the source.
MeasurementLog& MeasuredSource::log() const {
    if (!log_) {
        std::error_code error;
        fs::create_directories(folder_, error);
        if (error) throw core::DataError(fmt::format("{}: {}", folder_.string(), error.message()));
        log_.emplace(folder_ / measurements_file);
    }
    return *log_;
}

const std::string& MeasuredSource::device(std::int32_t index) const {
    if (index < 0 || static_cast<std::size_t>(index) >= fleet_.devices())
        throw core::InternalError(
            fmt::format("device {} of a fleet of {}", index, fleet_.devices()));
    return fleet_.device_ids[static_cast<std::size_t>(index)];
}

std::string MeasuredSource::lacks_for(Quantity quantity) const {
    if (quantity == Quantity::latency) return "";
    if (quantity == Quantity::energy) return std::string(energy_is_simulated);
    const SustainedLoad& load = parameters_.sustained;
    const bool is_command_missing = by_ == MeasuredBy::command && load.command.empty();
    if (load.seconds > 0.0 && !is_command_missing) return "";
    return fmt::format(
        "set latency.sustained_seconds, how long each candidate runs without a pause{}",
        by_ == MeasuredBy::command
            ? ", and latency.sustained_command, e.g. \"ssh {device} hdap network time {network} "
              "--sustained {seconds}s --quiet\""
            : "");
}

/// What tells these measurements from others of the same candidates; nothing for the usual ones.
std::string MeasuredSource::how_measured(const MeasurementRequest& request, Quantity quantity,
                                         std::int64_t round) const {
    std::string how;
    if (request.anew) how = fmt::format("{}, round {}", request.anew->occasion, round);
    if (quantity == Quantity::latency) return how;
    const SustainedLoad& load = parameters_.sustained;
    return how + fmt::format("sustained {} s{}", core::shortest(load.seconds),
                             by_ == MeasuredBy::command ? " by " + load.command : "");
}

/// The networks of the request, round after round.
std::vector<CandidateToMeasure> MeasuredSource::candidates_of(const MeasurementRequest& request,
                                                              Quantity quantity) const {
    std::vector<CandidateToMeasure> candidates;
    for (std::int64_t round = 1; round <= rounds_of(request, quantity); ++round)
        for (const network::Genome& genome : request.genomes)
            candidates.push_back({name_of(genome, how_measured(request, quantity, round)), genome});
    return candidates;
}

MeasurementPlan MeasuredSource::plan_for(const MeasurementRequest& request) const {
    MeasurementPlan plan;
    for (const Quantity quantity : request.quantities)
        add_to_plan(request, quantity, plan);
    return plan;
}

void MeasuredSource::add_to_plan(const MeasurementRequest& request, Quantity quantity,
                                 MeasurementPlan& plan) const {
    const std::vector<CandidateToMeasure> candidates = candidates_of(request, quantity);
    const double seconds =
        quantity == Quantity::sustained_latency ? parameters_.sustained.seconds : 0.0;
    std::set<std::int32_t> seen;
    for (const std::int32_t index : request.devices) {
        if (!seen.insert(index).second) continue;
        DeviceQueue queue{
            device(index), {}, candidates.front(), quantity, is_anchored(request, quantity)};
        std::set<std::string> names;
        for (const CandidateToMeasure& candidate : candidates) {
            if (!names.insert(candidate.name).second) continue;
            const auto known = log().latency_ms(candidate.name, queue.device);
            if (!known) queue.candidates.push_back(candidate);
            plan.all.push_back({queue.device, candidate.name, state_of(known), seconds});
        }
        if (!queue.candidates.empty()) plan.outstanding.push_back(std::move(queue));
    }
}

std::optional<std::vector<double>> MeasuredSource::latencies_ms(const MeasurementRequest& request,
                                                                const parallel::Job& job) {
    std::vector<double> latencies; // none: stopped
    std::optional<storage::FileLock> turn;
    MeasurementPlan plan;
    bool goes_on = true;
    job.communicator.on_root([&] {
        plan = plan_for(request);
        if (plan.outstanding.empty()) return;
        turn = take_turn(job);
        goes_on = turn.has_value();
        if (goes_on) plan = plan_for(request);
        if (goes_on && by_ == MeasuredBy::command && !plan.outstanding.empty())
            goes_on = measure(plan, request, job);
    });
    goes_on = !job.communicator.any(!goes_on);
    if (by_ == MeasuredBy::ranks)
        for (const Quantity quantity : request.quantities)
            goes_on = goes_on && measure_live(queues_of(plan.outstanding, quantity), quantity,
                                              parameters_, request.runs, network_,
                                              job.communicator.is_root() ? &log() : nullptr, job);
    job.communicator.on_root([&] {
        if (!goes_on) return;
        require_enough(request, job);
        latencies = look_up(request);
    });
    job.communicator.broadcast(latencies);
    if (latencies.empty()) return std::nullopt;
    return latencies;
}

/// The folder for this study alone, with what others have measured meanwhile; nothing when it was
/// asked to stop.
std::optional<storage::FileLock> MeasuredSource::take_turn(const parallel::Job& job) const {
    static_cast<void>(log()); // makes the folder
    auto turn = storage::FileLock::acquire(
        folder_ / "measuring.lock", [&] { return job.control.stop_requested(); },
        [&](const std::string& what) { job.log.info(what); });
    if (turn) log_.reset();
    return turn;
}

/// Runs the commands for what is outstanding, one quantity after the other; false when it was asked
/// to stop.
bool MeasuredSource::measure(const MeasurementPlan& plan, const MeasurementRequest& request,
                             const parallel::Job& job) const {
    return std::ranges::all_of(request.quantities, [&](Quantity quantity) {
        const auto queues = queues_of(plan.outstanding, quantity);
        const LatencyCommand& usual = parameters_.command;
        return quantity == Quantity::latency
                   ? measure(queues, usual, request, job)
                   : measure(queues, sustained_command(usual, parameters_.sustained), request, job);
    });
}

/// Runs a command for these queues; false when it was asked to stop.
bool MeasuredSource::measure(const std::vector<DeviceQueue>& queues, const LatencyCommand& command,
                             const MeasurementRequest& request, const parallel::Job& job) const {
    const CommandsOutcome outcome = measure_by_command(queues, command, parameters_.batch,
                                                       request.runs, network_, log(), folder_, job);
    if (outcome.failed > 0)
        job.log.warning(fmt::format(
            "{} could not be measured, the first: {}; what was printed is "
            "in {}",
            core::counted(outcome.failed, "candidate on a device", "candidates on devices"),
            outcome.first_failure, (folder_ / "printed").string()));
    if (!outcome.unreachable.empty())
        job.log.warning(
            fmt::format("given up, as they do not even measure the unpruned network: {}",
                        core::join(outcome.unreachable)));
    return !outcome.stopped;
}

/// Throws WaitingError, with all that is needed to measure written, while too little is measured.
void MeasuredSource::require_enough(const MeasurementRequest& request,
                                    const parallel::Job& job) const {
    const MeasurementPlan plan = plan_for(request);
    for (const std::string& contradiction : log().contradictions())
        job.log.warning(contradiction);
    const auto asked = static_cast<double>(plan.all.size());
    if (static_cast<double>(plan.answered()) >= parameters_.enough * asked) return;
    const bool by_user = by_ == MeasuredBy::user;
    if (!by_user && request.partial && plan.answered() > 0) return;
    if (by_user) ask_for(plan, request);
    throw core::WaitingError(fmt::format(
        "waiting for measurements: {} of {}, {}", core::grouped(plan.answered()),
        core::grouped(plan.all.size()),
        by_user
            ? "see " + (folder_ / "README.txt").string()
            : fmt::format("the others are of {}, {}", devices_of(plan.outstanding),
                          by_ == MeasuredBy::ranks
                              ? "which no rank of this job is"
                              : "which did not answer; the same command goes on when they do")));
}

/// Writes what is to be measured, for the studies that share the folder, too.
void MeasuredSource::ask_for(MeasurementPlan plan, const MeasurementRequest& request) const {
    if (!parameters_.measured_how.empty()) {
        plan.import_options =
            fmt::format(" --set 'latency.folder={}'", fs::absolute(folder_).string());
        for (PlannedMeasurement& other : others_in_manifest(folder_, plan)) {
            const auto known = log().latency_ms(other.candidate, other.device);
            other.state = state_of(known);
            plan.of_others.push_back(std::move(other));
        }
    }
    write_plan(folder_, plan, network_, parameters_.command.format, parameters_.batch,
               request.runs);
}

/// Devices drift, so what they measured at different times is told as of one: when they took the
/// median of their anchors for the unpruned network. What is measured anew is told as it was.
std::vector<double> MeasuredSource::look_up(const MeasurementRequest& request) const {
    const std::size_t networks = request.genomes.size();
    std::vector<double> latencies;
    for (const Quantity quantity : request.quantities) {
        const std::vector<CandidateToMeasure> candidates = candidates_of(request, quantity);
        for (const std::int32_t index : request.devices) {
            const double anchor_ms = is_anchored(request, quantity)
                                         ? median_anchor_ms(candidates, device(index))
                                         : std::numeric_limits<double>::quiet_NaN();
            for (std::size_t n = 0; n < networks; ++n)
                latencies.push_back(median_ms(candidates, n, networks, device(index), anchor_ms));
        }
    }
    return latencies;
}

/// Not a number where there are none.
double MeasuredSource::median_anchor_ms(const std::vector<CandidateToMeasure>& candidates,
                                        const std::string& device) const {
    std::vector<double> anchors;
    for (const CandidateToMeasure& candidate : candidates)
        for (const double anchor_ms : log().anchors_ms(candidate.name, device))
            anchors.push_back(anchor_ms);
    return anchors.empty() ? std::numeric_limits<double>::quiet_NaN()
                           : core::median(std::move(anchors));
}

/// The median of what a device has measured of the candidates first, first + step, …; not a number
/// where it has nothing.
double MeasuredSource::median_ms(const std::vector<CandidateToMeasure>& candidates,
                                 std::size_t first, std::size_t step, const std::string& device,
                                 double anchor_ms) const {
    std::vector<double> known;
    for (std::size_t i = first; i < candidates.size(); i += step) {
        const auto latency = log().latency_ms(candidates[i].name, device, anchor_ms);
        if (latency && !std::isnan(*latency)) known.push_back(*latency);
    }
    return known.empty() ? std::numeric_limits<double>::quiet_NaN()
                         : core::median(std::move(known));
}

void check_devices(const Fleet& fleet) {
    for (const std::string& device : fleet.device_ids)
        if (device.starts_with('-'))
            throw core::ConfigError(fmt::format("device '{}' begins with '-', so that a program "
                                                "would take it for an option; rename it",
                                                core::printable(device)));
}

std::unique_ptr<LatencySource> make_measured_source(const LatencySourceParameters& parameters,
                                                    const network::Prunable& prunable,
                                                    const parallel::Communicator& communicator,
                                                    MeasuredBy by) {
    Fleet fleet;
    std::vector<char> identity;
    communicator.on_root([&] {
        if (parameters.fleet_file.empty())
            throw core::ConfigError(fmt::format("fleet.source = \"{}\" needs fleet.file, a fleet "
                                                "that hdap fleet import or measure made",
                                                parameters.source));
        if (by == MeasuredBy::command) check_latency_command(parameters.command);
        if (by == MeasuredBy::command && !parameters.sustained.command.empty())
            static_cast<void>(sustained_command(parameters.command, parameters.sustained));
        fleet = read_fleet_file(parameters.fleet_file);
        if (by == MeasuredBy::command) check_devices(fleet);
        const std::string text = identity_of(fleet);
        identity.assign(text.begin(), text.end());
    });
    communicator.broadcast(identity);
    std::unique_ptr<LatencySource> source;
    communicator.on_every_rank([&] {
        // Latencies hardly depend on weights, and stages that measure need not read any.
        auto weights = network::initial_weights(prunable.network, parameters.seed);
        source = std::make_unique<MeasuredSource>(
            parameters, network::with_weights(prunable, std::move(weights)), std::move(fleet),
            std::string(identity.begin(), identity.end()), by);
    });
    return source;
}

std::vector<core::Setting> usual_settings(LatencySourceParameters& parameters) {
    constexpr auto nothing = core::Outputs::nothing;
    LatencyCommand& command = parameters.command;
    return {core::text("command", command.command, {},
                       "E.g. \"ssh {device} ./measure {network}\", also with {batch} and {runs}; "
                       "its last line is a latency with its unit, \"12.3 ms\", or it prints what "
                       "hdap fleet import reads",
                       core::Outputs::profile),
            core::text("format", command.format, {"onnx", "pt"},
                       "Of the candidate's file, {network}", core::Outputs::profile),
            core::real("timeout_seconds", command.timeout_seconds, {0.0, 1e7, true},
                       "A run of the command that takes longer is killed", nothing),
            core::integer("retries", command.retries, {0, 100}, "Runs more after one that failed",
                          nothing),
            core::integer("devices_at_once", command.devices_at_once, {1, 1024},
                          "Devices that measure side by side", nothing),
            core::integer("networks_at_once", command.networks_at_once, {1, 1024},
                          "Candidates that a command with {networks} gets; it prints a table, as "
                          "hdap network time --csv does",
                          nothing),
            core::real("enough", parameters.enough, {0.0, 1.0, true},
                       "The share of measurements that a study goes on with; it waits for them",
                       nothing),
            core::path("folder", parameters.measurements,
                       "Folder of what was measured, which studies may share whose devices of one "
                       "name are the same; empty: measurements/ in the run directory, or in the "
                       "store a folder for each fleet",
                       nothing)};
}

/// They shape the profiles that have such latencies, whose identity they are part of; others stay
/// the same whatever they say.
std::vector<core::Setting> sustained_settings(SustainedLoad& load) {
    constexpr auto nothing = core::Outputs::nothing;
    return {core::real("sustained_seconds", load.seconds, {0.0, 1e6},
                       "For latency.sustained each candidate is measured under continuous load, "
                       "too, for so long; 0: not",
                       nothing),
            core::text("sustained_command", load.command, {},
                       "What does so with source command, e.g. \"ssh {device} hdap network time "
                       "{network} --sustained {seconds}s --quiet\"",
                       nothing)};
}

} // namespace

std::unique_ptr<LatencySource> make_planned_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator) {
    return make_measured_source(parameters, prunable, communicator, MeasuredBy::user);
}

std::unique_ptr<LatencySource> make_command_source(const LatencySourceParameters& parameters,
                                                   const network::Prunable& prunable,
                                                   const parallel::Communicator& communicator) {
    return make_measured_source(parameters, prunable, communicator, MeasuredBy::command);
}

std::unique_ptr<LatencySource> make_live_source(const LatencySourceParameters& parameters,
                                                const network::Prunable& prunable,
                                                const parallel::Communicator& communicator) {
    return make_measured_source(parameters, prunable, communicator, MeasuredBy::ranks);
}

std::vector<core::Setting> measured_settings(LatencySourceParameters& parameters) {
    std::vector<core::Setting> settings = usual_settings(parameters);
    const std::vector<core::Setting> sustained = sustained_settings(parameters.sustained);
    settings.insert(settings.end(), sustained.begin(), sustained.end());
    return settings;
}

} // namespace hdap::fleet
