#include "hdap/accuracy/evaluator.hpp"
#include "hdap/report/study_report.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "stages.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

namespace hdap::study {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// Writes `text`, unless the file says the same already: the second call of a complete study
/// changes nothing.
void write_text(const std::filesystem::path& file, const std::string& text) {
    std::ifstream stream(file, std::ios::binary);
    const std::string present{std::istreambuf_iterator<char>(stream), {}};
    if (stream && present == text) return;
    storage::write_atomically(file, std::as_bytes(std::span(text.data(), text.size())));
}

/// Who made a file, when and where. The report tells it of the search: it says the same whenever
/// it is made.
std::string provenance_of(const storage::Hdf5Reader& file) {
    const auto text = [&](const char* name) {
        return file.has_attribute("/", name) ? file.attribute_string("/", name) : std::string();
    };
    return text("software") + " " + text("software_version") + "\ncommit " + text("git_commit") +
           "\ncreated " + text("created") + "\nhost " + text("host") +
           (text("job").empty() ? "" : "\nSlurm job " + text("job") + " on " + text("nodes")) +
           "\n" + text("libraries");
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
    ReportBuilder(const StudyContext& context, const Workpiece& workpiece, const RunDirectory& run,
                  const search::SearchProblem& problem, const search::SearchState& state)
        : settings_(context.settings), workpiece_(workpiece), problem_(problem), state_(state),
          fleet_(fleet::read_fleet(open_stage(run / "fleet.h5", fleet::fleet_schema))),
          clustering_(
              fleet::read_clustering(open_stage(run / "clusters.h5", fleet::clusters_schema))),
          simulation_(settings_, workpiece_, fleet_),
          provenance_(provenance_of(open_stage(run / "search.h5", search::search_schema))) {}

    report::StudyReport build(const std::vector<FinetunedNetwork>& finetuned) {
        add_headings();
        add_networks(finetuned);
        add_clusters();
        add_charts();
        return std::move(report_);
    }

  private:
    void add_headings() {
        report_.study_name = settings_.name;
        report_.sku = fleet_.sku;
        report_.network_name = workpiece_.network.name;
        report_.data_name = settings_.accuracy.command.empty()
                                ? std::filesystem::path(settings_.data.file).stem().string()
                                : "accuracy.command";
        report_.devices = static_cast<std::int64_t>(fleet_.devices());
        report_.simulated_devices = static_cast<std::int64_t>(simulation_.devices().size());
        report_.noise_devices = std::count(clustering_.cluster_of_device.begin(),
                                           clustering_.cluster_of_device.end(), -1);
        report_.batch = settings_.fleet.batch;
        report_.eps = clustering_.eps;
        report_.objectives = settings_.search.objectives;
        report_.constraints = settings_.search.constraints;
        report_.settings_toml = settings_text(settings_);
        for (const auto& group : workpiece_.space.groups()) {
            report_.group_names.push_back(group.name);
            report_.unpruned_channels.push_back(static_cast<std::int32_t>(group.channels));
        }
        report_.provenance = provenance_;
    }

    report::NetworkRow row(const std::string& id, report::NetworkKind kind,
                           const network::Genome& genome,
                           const search::CandidateFigures& figures) const {
        report::NetworkRow row;
        row.id = id;
        row.kind = kind;
        row.genome = genome;
        row.latency_mean_ms = figures.latency_mean_ms;
        row.latency_worst_cluster_ms = figures.latency_worst_cluster_ms;
        row.latency_fleet_ms = simulation_.mean_latency_ms(genome);
        row.speedup = report_.networks.empty()
                          ? 1.0
                          : report_.networks.front().latency_fleet_ms / row.latency_fleet_ms;
        row.flops = figures.flops;
        row.params = figures.params;
        row.memory_peak = figures.memory_peak;
        row.accuracy = figures.accuracy;
        row.accuracy_drop = figures.accuracy_drop;
        row.test_accuracy = unknown;
        return row;
    }

    void add_networks(const std::vector<FinetunedNetwork>& finetuned) {
        const search::Evaluation& unpruned = state_.log[0];
        report_.networks.push_back(
            row("unpruned", report::NetworkKind::unpruned, unpruned.genome, unpruned.figures));
        if (workpiece_.test.count > 0)
            report_.networks.front().test_accuracy = accuracy::top1_accuracy(
                workpiece_.network, workpiece_.weights, workpiece_.test, settings_.data.evaluation);
        const auto front = search::current_front(problem_, state_.log);
        for (std::size_t i = 0; i < front.size(); ++i) {
            const search::Evaluation& evaluation = state_.log[front[i]];
            const std::string number = (i + 1 < 10 ? "0" : "") + std::to_string(i + 1);
            report_.networks.push_back(row("front-" + number, report::NetworkKind::front,
                                           evaluation.genome, evaluation.figures));
            add_finetuned(report_.networks.back(), finetuned);
        }
        for (const FinetunedNetwork& result : finetuned) {
            if (!result.id.starts_with("uniform")) continue;
            report_.networks.push_back(uniform_row(result));
            add_finetuned(report_.networks.back(), finetuned);
        }
    }

    report::NetworkRow uniform_row(const FinetunedNetwork& result) const {
        const std::vector<network::Genome> one{result.genome};
        const auto latencies = search::cluster_latencies_ms(problem_, one, 1);
        return row(result.id, report::NetworkKind::uniform, result.genome,
                   search::candidate_figures(problem_, result.genome, latencies,
                                             problem_.accuracy(result.genome, {}, {}).value().value,
                                             state_.log[0].figures.accuracy));
    }

    static void add_finetuned(report::NetworkRow& row,
                              const std::vector<FinetunedNetwork>& finetuned) {
        for (const FinetunedNetwork& result : finetuned)
            if (result.id == row.id) {
                row.test_accuracy = result.test_accuracy;
                row.finetuned = true;
            }
    }

    void add_clusters() {
        std::vector<std::int64_t> devices(clustering_.clusters(), 0);
        for (const std::int32_t cluster : clustering_.cluster_of_device)
            if (cluster >= 0) ++devices[static_cast<std::size_t>(cluster)];
        const auto& errors = problem_.surrogates.cross_validation();
        for (std::size_t k = 0; k < clustering_.clusters(); ++k)
            report_.clusters.push_back(
                {.devices = devices[k],
                 .weight = clustering_.cluster_weight[k],
                 .mean_ratio = clustering_.cluster_mean_ratio[k],
                 .unpruned_latency_ms = problem_.surrogates.unpruned_latency_ms()[k],
                 .surrogate_mape = errors[k].mape,
                 .surrogate_kendall_tau = errors[k].kendall_tau});
    }

    void add_charts() {
        constexpr std::size_t most_points = 3000;
        const std::size_t b = fleet_.benchmarks();
        const auto signatures = fleet::latency_signatures(fleet_, fleet::SignatureMetric::level);
        for (const std::size_t i : spread_indices(fleet_.devices(), most_points))
            report_.device_points.push_back({.x = std::exp(signatures[i * b]),
                                             .y = std::exp(signatures[i * b + b - 1]),
                                             .cluster = clustering_.cluster_of_device[i]});
        report_.device_axis_names = {fleet_.benchmark_names.front(), fleet_.benchmark_names.back()};
        report_.k_distance = clustering_.k_distance;
        for (const search::GenerationRecord& record : state_.history)
            report_.history.push_back({.generation = record.generation,
                                       .evaluations = record.evaluations,
                                       .front_size = record.front_size,
                                       .hypervolume = record.hypervolume});
        for (const std::size_t i : spread_indices(state_.log.size(), most_points)) {
            const auto& figures = state_.log[i].figures;
            report_.candidates.push_back(
                {.latency_mean_ms = figures.latency_mean_ms,
                 .accuracy = figures.accuracy,
                 .feasible = search::total_violation(problem_.constraints, figures,
                                                     state_.log[0].figures) <= 0.0});
        }
    }

    const Settings& settings_;
    const Workpiece& workpiece_;
    const search::SearchProblem& problem_;
    const search::SearchState& state_;
    fleet::Fleet fleet_;
    fleet::Clustering clustering_;
    FleetSimulation simulation_;
    std::string provenance_;
    report::StudyReport report_;
};

} // namespace

std::string make_report(const StudyContext& context, const Workpiece& workpiece,
                        const RunDirectory& run, const search::SearchProblem& problem,
                        const search::SearchState& state,
                        const std::vector<FinetunedNetwork>& finetuned) {
    const auto report = ReportBuilder(context, workpiece, run, problem, state).build(finetuned);
    write_text(run / "front.csv", report::front_csv(report));
    write_text(run / "report.html", report::report_html(report));
    return report::front_table(report);
}

} // namespace hdap::study
