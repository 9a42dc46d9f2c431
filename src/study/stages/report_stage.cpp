#include "fleet_truth.hpp"
#include "hdap/accuracy/evaluation.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/report/holds.hpp"
#include "hdap/report/study_report.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "results.hpp"
#include "rounds.hpp"
#include "stage_table.hpp"
#include "verification.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <limits>

namespace hdap::study {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// The content of a file; empty where there is none.
std::string text_of(const std::filesystem::path& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

/// Writes `text`, unless the file says the same already: the second call of a complete study
/// changes nothing.
void write_text(const std::filesystem::path& file, const std::string& text) {
    if (std::filesystem::exists(file) && text_of(file) == text) return;
    storage::write_atomically(file, text);
}

/// Who made a file, when and where. The report tells it of the search: it says the same whenever
/// it is made.
std::string provenance_of(const storage::Hdf5Reader& file) {
    const auto text = [&](const char* name) {
        return file.has_attribute("/", name) ? file.attribute_string("/", name) : std::string();
    };
    const std::string job =
        text("job").empty() ? "" : fmt::format("\nSlurm job {} on {}", text("job"), text("nodes"));
    return fmt::format("{} {}\ncommit {}\ncreated {}\nhost {}{}\n{}", text("software"),
                       text("software_version"), text("git_commit"), text("created"), text("host"),
                       job, text("libraries"));
}

/// At most `most` of `count` indices, evenly spread.
std::vector<std::size_t> spread_indices(std::size_t count, std::size_t most) {
    std::vector<std::size_t> indices;
    const std::size_t chosen = std::min(count, most);
    for (std::size_t i = 0; i < chosen; ++i)
        indices.push_back(i * count / chosen);
    return indices;
}

/// Puts the rows of the report together.
class ReportBuilder {
  public:
    ReportBuilder(const StudyRun& run, const FleetOutputs& fleet)
        : run_(run), settings_(run.settings()), problem_(*run.problem), log_(run.found.log),
          fleet_(fleet) {}

    report::StudyReport build() {
        add_headings();
        add_networks();
        forget_lone_latency();
        add_speedups();
        add_clusters();
        add_margins();
        add_charts();
        return std::move(report_);
    }

  private:
    void add_headings() {
        report_.study_name = settings_.name;
        report_.sku = fleet_.devices.sku;
        report_.network_name = run_.own().network.name;
        report_.data_name = data_name();
        report_.devices = static_cast<std::int64_t>(fleet_.devices.devices());
        report_.found_latencies = found_latencies();
        report_.found_devices =
            fleet_.truth.found_by() == FoundBy::nobody ? 0 : std::ssize(fleet_.truth.devices());
        report_.noise_devices = std::count(fleet_.clustering.cluster_of_device.begin(),
                                           fleet_.clustering.cluster_of_device.end(), -1);
        report_.evaluated = static_cast<std::int64_t>(log_.size());
        report_.failed = static_cast<std::int64_t>(log_.failures());
        report_.batch = settings_.fleet.batch;
        report_.eps = fleet_.clustering.facts.eps;
        report_.grouping = fleet::grouping_text(fleet_.clustering);
        report_.held_out = fleet::held_out_text(fleet_.clustering);
        report_.regrets = search::read_regrets(
            open_stage(run_.output(Stage::surrogates), surrogate::surrogates_schema));
        for (const search::Metric& objective : problem_.goal.objectives)
            report_.objectives.push_back(objective.name());
        report_.constraints = settings_.search.constraints;
        report_.settings_toml = settings_text(settings_);
        for (const search::Metric& metric : log_.metrics())
            report_.metrics.push_back({.name = metric.name(),
                                       .column = metric.column(),
                                       .unit = std::string(metric.unit())});
        add_bounds();
        for (const auto& group : run_.own().space.groups()) {
            report_.group_names.push_back(group.name);
            report_.unpruned_channels.push_back(static_cast<std::int32_t>(group.channels));
        }
        report_.provenance =
            provenance_of(open_stage(run_.file("search.h5"), search::search_schema));
    }

    [[nodiscard]] report::DeviceLatencySource found_latencies() const {
        if (fleet_.truth.known()) return report::DeviceLatencySource::simulated;
        return fleet_.truth.found_by() == FoundBy::table ? report::DeviceLatencySource::recorded
                                                         : report::DeviceLatencySource::measured;
    }

    void add_bounds() {
        for (std::size_t i = 0; i < fleet_.constraints.constraints().size(); ++i) {
            const search::Constraint& constraint = fleet_.constraints.constraints()[i];
            report_.bounds.push_back({.text = constraint.text,
                                      .metric = constraint.metric.name(),
                                      .limit = fleet_.constraints.limits()[i],
                                      .doubtful = FoundConstraints::is_doubtful(constraint),
                                      .safer = {}});
        }
    }

    [[nodiscard]] std::string data_name() const {
        if (!run_.evaluator) return "";
        return settings_.data.file.empty()
                   ? "accuracy.command"
                   : std::filesystem::path(settings_.data.file).stem().string();
    }

    [[nodiscard]] report::NetworkRow row(const std::string& id, report::NetworkKind kind,
                                         const network::Genome& genome,
                                         const search::CandidateFacts& facts) const {
        report::NetworkRow row;
        row.id = id;
        row.kind = kind;
        row.genome = genome;
        for (const search::Metric& metric : log_.metrics())
            row.metrics.push_back(metric.value(facts, *run_.found.reference, problem_.fleet));
        row.latency_fleet_ms = fleet_.truth.mean_latency_ms(genome);
        row.accuracy = facts.accuracy;
        row.test_accuracy = unknown;
        return row;
    }

    /// What the unpruned network takes on the devices compares with nothing where no other is
    /// known.
    void forget_lone_latency() {
        const auto is_known = [](const report::NetworkRow& row) {
            return std::isfinite(row.latency_fleet_ms);
        };
        if (std::ranges::count_if(report_.networks, is_known) == 1)
            report_.networks.front().latency_fleet_ms = unknown;
    }

    /// As found, or of all networks as predicted: the two never stand in one column.
    void add_speedups() {
        const bool found = report::fleet_latency_known(report_);
        const auto latency_ms = [&](const report::NetworkRow& row) {
            return found ? row.latency_fleet_ms : report::metric(report_, row, "latency.mean");
        };
        for (report::NetworkRow& row : report_.networks)
            row.speedup = latency_ms(report_.networks.front()) / latency_ms(row);
    }

    void add_networks() {
        const network::Genome unpruned = run_.own().space.unpruned();
        report_.networks.push_back(
            row("unpruned", report::NetworkKind::unpruned, unpruned, *run_.found.reference));
        const accuracy::ImageData& test = run_.images().test;
        if (test.count > 0)
            report_.networks.front().test_accuracy = accuracy::top1_accuracy(
                run_.own().network, *run_.own().weights, test, settings_.data.evaluation);
        report_.networks.front().found = fleet_.constraints.found(unpruned, {1.0, 1.0});
        add_rounds();
        const auto front = search::current_front(problem_, run_.found);
        for (std::size_t i = 0; i < front.size(); ++i) {
            const search::Evaluation& entry = log_[front[i]];
            report_.networks.push_back(row(fmt::format("front-{:02}", i + 1),
                                           report::NetworkKind::front, entry.genome,
                                           search::facts_of(problem_, entry)));
            add_finetuned(report_.networks.back());
        }
        for (const FinetunedNetwork& result : run_.finetuned) {
            if (!result.id.starts_with("uniform")) continue;
            report_.networks.push_back(uniform_row(result));
            add_finetuned(report_.networks.back());
        }
    }

    /// What the rounds chose so far, this one too.
    void add_rounds() {
        for (const report::NetworkRow& before : run_.inputs.rounds) {
            report_.networks.push_back(before);
            report_.networks.back().latency_fleet_ms = fleet_.truth.mean_latency_ms(before.genome);
        }
        const std::string id = round_name(run_.round);
        for (const FinetunedNetwork& result : run_.finetuned)
            if (result.id == id) report_.networks.push_back(round_row(result));
    }

    [[nodiscard]] report::NetworkRow round_row(const FinetunedNetwork& result) const {
        const search::Evaluation& entry = log_[log_.index_of(result.genome).value()];
        auto chosen = row(result.id, report::NetworkKind::round, result.genome,
                          search::facts_of(problem_, entry));
        add_finetuned(chosen);
        return chosen;
    }

    [[nodiscard]] report::NetworkRow uniform_row(const FinetunedNetwork& result) const {
        auto facts = predicted_facts(problem_, result.genome);
        facts.accuracy = accuracy_of(result);
        return row(result.id, report::NetworkKind::uniform, result.genome, facts);
    }

    /// Not a number where a program of the user's has none: one network's failure.
    [[nodiscard]] double accuracy_of(const FinetunedNetwork& network) const {
        try {
            return run_.evaluator->accuracy(network.genome, {}, {}).value().value;
        } catch (const accuracy::CandidateFailure& failure) {
            run_.job.log.warning(fmt::format("{}: {}", network.id, failure.what()));
            return unknown;
        }
    }

    /// Whether a row with its genome is that network: what a round chose is on its front, too.
    [[nodiscard]] static bool is_row_of(const FinetunedNetwork& network,
                                        const report::NetworkRow& row) {
        return network.id == row.id ||
               (network.id.starts_with("round") && row.kind == report::NetworkKind::front);
    }

    /// What is known of the network after fine-tuning, and of how it keeps the constraints.
    void add_finetuned(report::NetworkRow& row) const {
        for (const FinetunedNetwork& result : run_.finetuned)
            if (result.genome == row.genome && is_row_of(result, row)) {
                row.test_accuracy = result.test_accuracy;
                row.finetuned = std::isfinite(result.test_accuracy);
            }
        row.found = fleet_.constraints.found(row.genome, final_accuracy(row));
    }

    /// NaN where only a part of the images that are there was looked at. A program of the user's
    /// knows no other images, and measures nothing that hdap trains.
    [[nodiscard]] FinalAccuracy final_accuracy(const report::NetworkRow& row) const {
        if (settings_.accuracy.evaluator != "command") {
            if (row.finetuned) return {row.test_accuracy, report_.networks.front().test_accuracy};
            if (settings_.data.evaluation_images < settings_.data.held_out)
                return {unknown, unknown};
        }
        return {row.accuracy, run_.found.reference->accuracy};
    }

    void add_clusters() {
        const fleet::Clustering& clustering = fleet_.clustering;
        const auto profile =
            fleet::read_profile(open_stage(run_.output(Stage::profile), fleet::profile_schema));
        std::vector<std::int64_t> devices(clustering.clusters(), 0);
        for (const std::int32_t cluster : clustering.cluster_of_device)
            if (cluster >= 0) ++devices[static_cast<std::size_t>(cluster)];
        const auto& errors = problem_.surrogate->cross_validation();
        for (std::size_t k = 0; k < clustering.clusters(); ++k)
            report_.clusters.push_back({.devices = devices[k],
                                        .weight = clustering.cluster_weight[k],
                                        .mean_ratio = clustering.cluster_mean_ratio[k],
                                        .unpruned_latency_ms = profile.unpruned_latency_ms(k),
                                        .surrogate_mape = errors[k].mape,
                                        .surrogate_kendall_tau = errors[k].kendall_tau});
    }

    /// Bounds to search with where those of the study do not hold, or where nobody knows.
    void add_margins() {
        for (const report::ClusterRow& cluster : report_.clusters)
            report_.surrogate_error += cluster.weight * cluster.surrogate_mape;
        for (const auto& [quantity, surrogate] : problem_.others)
            for (std::size_t k = 0; k < report_.clusters.size(); ++k)
                report_.other_errors[quantity] +=
                    report_.clusters[k].weight * surrogate->cross_validation()[k].mape;
        for (std::size_t i = 0; i < report_.bounds.size(); ++i) {
            const search::Constraint& constraint = fleet_.constraints.constraints()[i];
            if (!constraint.metric.follows_from_latencies()) continue;
            const double margin = margin_of(constraint, i);
            if (margin > 0.0)
                report_.bounds[i].safer = search::with_margin(constraint, margin).text;
        }
    }

    /// The margin that a bound needs: the most by which networks of the front exceed it. Where that
    /// is not known, three times the surrogates' error, as a search prefers what is predicted too
    /// low. 0 where all of the front keep the bound. docs/results.md has what it is worth.
    [[nodiscard]] double margin_of(const search::Constraint& constraint, std::size_t index) const {
        const double error = report::surrogate_error(report_, report_.bounds[index]);
        double margin = 0.0;
        for (const report::NetworkRow& row : report_.networks) {
            if (row.kind != report::NetworkKind::front) continue;
            if (report::holds(report_, row, index) == report::Holds::yes) continue;
            const double excess = excess_of(constraint, index, row);
            margin = std::max(margin, excess > 0.0 ? excess : 3.0 * error);
        }
        return margin;
    }

    /// By how much of it a network's latency exceeds a bound; where a share of the devices is
    /// bounded, its prediction. NaN where it is not known.
    [[nodiscard]] double excess_of(const search::Constraint& constraint, std::size_t index,
                                   const report::NetworkRow& row) const {
        if (constraint.metric.unit() == "ms")
            return row.found[index] / report_.bounds[index].limit - 1.0;
        return row.latency_fleet_ms / report::metric(report_, row, "latency.mean") - 1.0;
    }

    void add_charts() {
        add_devices();
        report_.k_distance = fleet_.clustering.facts.k_distance;
        report_.trials = fleet_.clustering.facts.trials;
        for (const search::GenerationRecord& record : run_.found.history)
            report_.history.push_back({.generation = record.generation,
                                       .evaluations = record.evaluations,
                                       .front_size = record.front_size,
                                       .hypervolume = record.hypervolume});
        const report::ChartAxes axes = report::chart_axes(report_);
        for (const std::size_t i : spread_indices(log_.size(), most_points))
            if (!log_[i].failed) report_.candidates.push_back(candidate_point(axes, i));
    }

    void add_devices() {
        const fleet::Fleet& devices = fleet_.devices;
        const std::size_t b = devices.benchmarks();
        const auto signatures = fleet::latency_signatures(devices, fleet::SignatureMetric::level);
        for (const std::size_t i : spread_indices(devices.devices(), most_points)) {
            if (std::isnan(signatures[i * b]) || std::isnan(signatures[i * b + b - 1])) continue;
            report_.device_points.push_back({.x = std::exp(signatures[i * b]),
                                             .y = std::exp(signatures[i * b + b - 1]),
                                             .cluster = fleet_.clustering.cluster_of_device[i]});
        }
        report_.device_axis_names = {devices.benchmark_names.front(),
                                     devices.benchmark_names.back()};
    }

    /// Where an entry of the log is on the chart of the front.
    [[nodiscard]] report::CandidatePoint candidate_point(const report::ChartAxes& axes,
                                                         std::size_t entry) const {
        const auto at = [&](const std::string& axis) {
            return axis == "accuracy" ? log_[entry].accuracy
                                      : log_.value(entry, search::parse_metric(axis));
        };
        return {.x = at(axes.x),
                .y = at(axes.y),
                .feasible = problem_.goal.violation_of(log_, entry) <= 0.0};
    }

    static constexpr std::size_t most_points = 3000;

    const StudyRun& run_;
    const Settings& settings_;
    const search::SearchProblem& problem_;
    const search::EvaluationLog& log_;
    const FleetOutputs& fleet_;
    report::StudyReport report_;
};

/// Keeps what later rounds tell of this one.
void note_round(StudyRun& run, const report::StudyReport& report) {
    StudyInputs& inputs = run.inputs;
    inputs.reported_round = run.round;
    for (const search::GenerationCost& cost : run.found.costs) {
        inputs.searched.wall_seconds += cost.wall_seconds;
        inputs.searched.accuracy_seconds += cost.accuracy_seconds;
        inputs.searched.accuracies_measured += cost.accuracies_measured;
    }
    inputs.rounds.clear();
    for (const report::NetworkRow& row : report.networks)
        if (row.kind == report::NetworkKind::round) inputs.rounds.push_back(row);
}

/// What a round came to that others follow. On the root.
void describe_round(const StudyRun& run) {
    const report::NetworkRow& chosen = run.inputs.rounds.back();
    std::string text =
        fmt::format("round {} of {}: chose a network {} times as fast, accuracy {} %", run.round,
                    run.settings().rounds, core::significant(chosen.speedup, 3),
                    core::significant(100.0 * chosen.accuracy));
    if (chosen.finetuned)
        text += fmt::format(", after fine-tuning {} % on the test images",
                            core::significant(100.0 * chosen.test_accuracy));
    run.job.log.info(text);
}

/// For those who read the log only.
void warn_of_broken(const StudyRun& run, const report::StudyReport& report) {
    const std::int64_t broken = report::count_of(report, report::Holds::no);
    if (report::has_doubtful_bounds(report) && broken > 0)
        run.job.log.warning(fmt::format(
            "{} of the {} networks of the front break a constraint {}: see holds_on_devices in {}",
            broken,
            std::ranges::count(report.networks, report::NetworkKind::front,
                               &report::NetworkRow::kind),
            report::how_found(report), run.file("front.csv").string()));
}

} // namespace

FleetOutputs::FleetOutputs(const StudyRun& run)
    : devices(fleet::read_fleet(open_stage(run.output(Stage::fleet), fleet::fleet_schema))),
      clustering(
          fleet::read_clustering(open_stage(run.output(Stage::clusters), fleet::clusters_schema))),
      truth(*run.inputs.source, clustering, run.own().space.unpruned(),
            quantities_of(run.settings()), verification_of(run, devices.devices())),
      constraints(*run.problem, truth, run.own().space.unpruned()) {}

void publish_report(const StudyInputs& inputs) {
    const std::filesystem::path& top = inputs.request.run_directory;
    const auto folder = round_folder(top, inputs.request.settings, inputs.reported_round);
    if (folder == top || inputs.reported_round == 0) return;
    for (const char* name : {"front.csv", "report.html", "results.h5"})
        write_text(top / name, text_of(folder / name));
}

bool make_report(StudyRun& run) {
    const bool is_last = !run.communicator().any(run.end == RoundEnd::goes_on);
    if (run.inputs.request.verify && is_last && !verify_networks(run)) return false;
    run.communicator().on_root([&] {
        if (search::current_front(*run.problem, run.found).empty()) return; // of a later round
        // Results that were made from something else are an error before anything is written.
        (void)is_up_to_date(run.file("results.h5"), identity_of(run, Stage::report), run.job.log);
        const FleetOutputs fleet(run);
        const report::StudyReport report = ReportBuilder(run, fleet).build();
        note_round(run, report);
        write_text(run.file("front.csv"), report::front_csv(report));
        write_text(run.file("report.html"), report::report_html(report));
        ensure_results(run, fleet, report);
        warn_of_broken(run, report);
        if (run.end == RoundEnd::goes_on) return describe_round(run);
        publish_report(run.inputs);
        const std::filesystem::path& folder = run.inputs.request.run_directory;
        std::fputs(report::front_table(report).c_str(), stdout);
        std::printf("\nstudy %s is complete: %s, %s\n", run.settings().name.c_str(),
                    (folder / "report.html").c_str(), (folder / "front.csv").c_str());
        std::fflush(stdout);
    });
    return true;
}

} // namespace hdap::study
