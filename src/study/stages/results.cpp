// What a complete study comes down to, for ablations to compare.
#include "results.hpp"

#include "hdap/core/text.hpp"
#include "hdap/fleet/figure_errors.hpp"
#include "hdap/report/holds.hpp"
#include "hdap/search/hypervolume.hpp"
#include "hdap/search/variants.hpp"
#include "hdap/study/results.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <span>
#include <utility>

namespace hdap::study {
namespace {

/// Accuracy drops at which the fastest network of the front is looked up.
constexpr std::array<double, 5> accuracy_budgets{0.005, 0.01, 0.02, 0.03, 0.05};

/// The same of pruning losses: those of 80, 70, 60 and 50 % of all channels.
constexpr std::array<double, 4> loss_budgets{0.05, 0.13, 0.26, 0.48};

/// Puts the metrics of a study together.
class ResultsBuilder {
  public:
    ResultsBuilder(const StudyRun& run, const FleetOutputs& fleet,
                   const report::StudyReport& report)
        : run_(run), settings_(run.settings()), problem_(*run.problem), found_(run.found),
          fleet_(fleet), report_(report), front_(search::current_front(problem_, found_)) {}

    Results build() {
        add_search();
        add_least();
        add_front_on_devices();
        if (run_.evaluator) add_variants();
        add_others_on_devices();
        add_surrogates();
        add_finetuned();
        add_finetuned_on_devices();
        add_rounds();
        add_costs();
        add_history();
        add_bounds();
        return std::move(results_);
    }

  private:
    void add(const std::string& name, const std::string& unit, double value) {
        results_.final_metrics.push_back({name, unit, value});
    }

    void add_search() {
        const search::GenerationRecord& last = found_.history.back();
        add("hypervolume", "1", last.hypervolume);
        add("front_size", "1", last.front_size);
        add("evaluations", "1", last.evaluations);
        add("feasible", "1", last.feasible);
        if (run_.evaluator) add("failed", "1", static_cast<double>(found_.log.failures()));
        add("clusters", "1", static_cast<double>(fleet_.clustering.clusters()));
        const auto noise = std::count(fleet_.clustering.cluster_of_device.begin(),
                                      fleet_.clustering.cluster_of_device.end(), -1);
        add("noise_devices_share", "1",
            static_cast<double>(noise) / static_cast<double>(fleet_.devices.devices()));
    }

    /// The best of the front in each metric by itself.
    void add_least() {
        for (const search::Metric& metric : found_.log.metrics()) {
            double least = std::numeric_limits<double>::infinity();
            for (const std::size_t index : front_)
                least = std::min(least, found_.log.value(index, metric));
            add("front_least_" + metric.column(), std::string(metric.unit()), least);
        }
    }

    [[nodiscard]] double value(std::size_t entry, const std::string& metric) const {
        return found_.log.value(entry, search::parse_metric(metric));
    }

    /// What pruning costs beside latency, and how much of that is looked at: accuracy where it is
    /// measured, else what the study minimises in its place.
    struct Cost {
        std::string metric;
        std::string name; ///< in names of results
        std::span<const double> budgets;
    };

    [[nodiscard]] std::optional<Cost> cost() const {
        if (run_.evaluator) return Cost{"accuracy_drop", "drop", accuracy_budgets};
        const auto is_loss = [](const search::Metric& metric) {
            return metric.name() == "pruning_loss";
        };
        if (std::ranges::any_of(problem_.goal.objectives, is_loss))
            return Cost{"pruning_loss", "loss", loss_budgets};
        return std::nullopt;
    }

    /// What a network of the front takes on devices, and what it costs.
    struct AtCost {
        double cost = 0.0;
        double value = 0.0;
    };

    /// The front as the fleet's devices see it: its predictions may flatter it. Nothing where
    /// nobody knows how the devices see it.
    void add_front_on_devices() {
        const auto of_cost = cost();
        if (!fleet_.truth.known() || !of_cost) return;
        const fleet::FleetFigures unpruned = figures_on_devices(run_.own().space.unpruned());
        std::vector<AtCost> mean{{0.0, unpruned.mean}};
        std::vector<AtCost> p95{{0.0, unpruned.p95}};
        std::vector<AtCost> slowest{{0.0, unpruned.slowest}};
        double error = 0.0;
        for (const std::size_t index : front_) {
            const fleet::FleetFigures figures = figures_on_devices(found_.log[index].genome);
            const double costs = value(index, of_cost->metric);
            error += std::abs(value(index, "latency.mean") / figures.mean - 1.0);
            mean.push_back({costs, figures.mean});
            p95.push_back({costs, figures.p95});
            slowest.push_back({costs, figures.slowest});
        }
        if (run_.evaluator) add_hypervolume(mean);
        add_speedups(*of_cost, "", mean);
        add("latency_error_on_devices", "1", error / static_cast<double>(front_.size()));
        add_speedups(*of_cost, "p95_", p95);
        add_speedups(*of_cost, "slowest_", slowest);
        add_misses(*of_cost);
    }

    /// `front`: behind the unpruned network.
    void add_hypervolume(const std::vector<AtCost>& front) {
        const double accuracy_scale =
            std::max(found_.reference->accuracy - run_.evaluator->chance_accuracy(), 1e-9);
        std::vector<double> points;
        for (const AtCost& network : std::span(front).subspan(1)) {
            points.push_back(network.value / front.front().value);
            points.push_back(network.cost / accuracy_scale);
        }
        const std::vector<double> reference{1.0, 1.0};
        add("hypervolume_on_devices", "1", search::hypervolume(points, 2, reference));
    }

    [[nodiscard]] fleet::FleetFigures figures_on_devices(const network::Genome& genome) const {
        return fleet::figures_of(fleet_.truth.device_latencies_ms(genome).value());
    }

    /// The least value of the networks that cost at most `budget`, the unpruned one among them.
    static double least_within(double budget, const std::vector<AtCost>& front) {
        double least = front.front().value;
        for (const AtCost& network : front)
            if (network.cost <= budget) least = std::min(least, network.value);
        return least;
    }

    /// The same, linear between the networks that no other one dominates: what is compared are
    /// fronts, not where their points happen to lie.
    static double least_between(double budget, std::vector<AtCost> front) {
        std::ranges::stable_sort(front, {}, &AtCost::cost);
        AtCost before = front.front();
        for (const AtCost& network : front) {
            if (network.value >= before.value) continue;
            if (network.cost > budget)
                return before.value + (network.value - before.value) * (budget - before.cost) /
                                          (network.cost - before.cost);
            before = network;
        }
        return before.value;
    }

    void add_speedups(const Cost& of, const std::string& figure, const std::vector<AtCost>& front) {
        for (const double budget : of.budgets)
            add(fmt::format("{}speedup_at_{}_{}", figure, of.name, core::shortest(budget)), "1",
                front.front().value /
                    (run_.evaluator ? least_within(budget, front) : least_between(budget, front)));
    }

    /// Shares of the devices that miss a deadline, where an objective has one.
    void add_misses(const Cost& of) {
        for (const search::Metric& objective : problem_.goal.objectives) {
            if (objective.unit() != "1" || !objective.follows_from_latencies()) continue;
            const auto missing = [&](const network::Genome& genome) {
                return objective.value_on_devices(fleet_.truth.found_latencies(genome).value());
            };
            std::vector<AtCost> front{{0.0, missing(run_.own().space.unpruned())}};
            for (const std::size_t index : front_)
                front.push_back({value(index, of.metric), missing(found_.log[index].genome)});
            for (const double budget : of.budgets)
                add(fmt::format("{}_at_{}_{}", objective.column(), of.name, core::shortest(budget)),
                    "1",
                    run_.evaluator ? least_within(budget, front) : least_between(budget, front));
        }
    }

    /// How far the predictions of other quantities are off over the front, where that is known.
    void add_others_on_devices() {
        if (!fleet_.truth.known()) return;
        const auto of_cost = cost();
        for (const auto& [quantity, surrogate] : problem_.others) {
            const std::string metric(fleet::row_of(quantity).metric);
            double error = 0.0;
            std::vector<AtCost> front{
                {0.0, fleet_.truth.mean_of(quantity, run_.own().space.unpruned())}};
            for (const std::size_t index : front_) {
                const double true_mean = fleet_.truth.mean_of(quantity, found_.log[index].genome);
                error += std::abs(value(index, metric) / true_mean - 1.0);
                if (of_cost) front.push_back({value(index, of_cost->metric), true_mean});
            }
            const std::string name(fleet::row_of(quantity).name);
            add(name + "_error_on_devices", "1", error / static_cast<double>(front_.size()));
            if (of_cost) add_speedups(*of_cost, name + "_", front);
        }
    }

    /// Who keeps the constraints, and of the front how many do.
    void add_bounds() {
        ResultBounds& bounds = results_.bounds;
        for (const report::Bound& bound : report_.bounds) {
            bounds.constraints.push_back(bound.text);
            bounds.limit.push_back(bound.limit);
            bounds.safer.push_back(bound.safer);
        }
        for (const report::NetworkRow& row : report_.networks) {
            bounds.networks.push_back(row.id);
            bounds.holds.emplace_back(report::name_of(report::holds(report_, row)));
            bounds.found.insert(bounds.found.end(), row.found.begin(), row.found.end());
        }
        if (!report::has_doubtful_bounds(report_)) return;
        for (const report::Holds holds :
             {report::Holds::yes, report::Holds::no, report::Holds::unknown})
            add(fmt::format("front_holds_{}", report::name_of(holds)), "1",
                static_cast<double>(report::count_of(report_, holds)));
    }

    /// The networks that meet the constraints and the accuracy budget.
    std::vector<std::size_t> eligible() const {
        std::vector<std::size_t> indices;
        for (std::size_t i = 0; i < found_.log.size(); ++i) {
            // What was given up is known by a part of the images only.
            if (found_.log[i].given_up_after == 0 &&
                value(i, "accuracy_drop") <= settings_.report.accuracy_budget &&
                problem_.goal.violation_of(found_.log, i) <= 0.0)
                indices.push_back(i);
        }
        return indices;
    }

    /// The fleet's mean latency when 1, 2, … networks are handed out to groups of clusters, chosen
    /// by prediction and measured on the devices, relative to that of the best single one.
    void add_variants() {
        if (!fleet_.truth.known()) return;
        std::vector<std::size_t> candidates = eligible();
        double single_ms = std::nan("");
        for (std::int64_t count = 1; count <= settings_.report.variants; ++count) {
            double mean_ms = std::nan("");
            if (!candidates.empty())
                mean_ms = mean_with_networks(
                    networks_that_hold(candidates, static_cast<std::size_t>(count)));
            if (count == 1) single_ms = mean_ms;
            add(fmt::format("latency_ratio_with_{}_variants", count), "1", mean_ms / single_ms);
        }
    }

    /// The network of each cluster when `count` of `candidates` are handed out, rows of the log
    /// both; by prediction.
    [[nodiscard]] std::vector<std::size_t>
    networks_of_clusters(const std::vector<std::size_t>& candidates, std::size_t count) const {
        const fleet::Clustering& clustering = fleet_.clustering;
        const std::size_t clusters = clustering.clusters();
        std::vector<double> latency;
        for (const std::size_t index : candidates)
            for (std::size_t k = 0; k < clusters; ++k)
                latency.push_back(found_.log[index].cluster_latency_ms[k] *
                                  clustering.cluster_mean_ratio[k]);
        const auto variants = search::choose_variants(latency, clustering.cluster_weight, count);
        auto networks = search::variant_of_cluster(latency, clusters, variants);
        for (std::size_t& network : networks)
            network = candidates[network];
        return networks;
    }

    /// The same of networks that keep the constraints on the devices, too, as long as there are
    /// some: takes those that were chosen and do not out of `candidates`. Looking at devices takes
    /// time, so after many that do not the last choice stands.
    [[nodiscard]] std::vector<std::size_t> networks_that_hold(std::vector<std::size_t>& candidates,
                                                              std::size_t count) const {
        auto networks = networks_of_clusters(candidates, count);
        for (int tries = 0; tries < 100; ++tries) {
            std::vector<std::size_t> others = candidates;
            for (const std::size_t network : networks)
                if (fleet_.constraints.breaks(found_.log[network].genome))
                    std::erase(others, network);
            if (others.empty() || others.size() == candidates.size()) break;
            candidates = std::move(others);
            networks = networks_of_clusters(candidates, count);
        }
        return networks;
    }

    /// Mean latency over the devices when each gets the network of its cluster, in ms.
    double mean_with_networks(const std::vector<std::size_t>& network_of_cluster) const {
        double sum = 0.0;
        double devices = 0.0;
        for (std::size_t k = 0; k < network_of_cluster.size(); ++k) {
            const auto latencies =
                fleet_.truth.device_latencies_ms(found_.log[network_of_cluster[k]].genome).value();
            for (std::size_t i = 0; i < latencies.size(); ++i) {
                const std::int32_t cluster =
                    fleet_.clustering
                        .assigned_cluster[static_cast<std::size_t>(fleet_.truth.devices()[i])];
                if (cluster != static_cast<std::int32_t>(k)) continue;
                sum += latencies[i];
                devices += 1.0;
            }
        }
        return sum / devices;
    }

    void add_surrogates() {
        add_surrogates("surrogate", *problem_.surrogate);
        for (const auto& [quantity, surrogate] : problem_.others)
            add_surrogates(fmt::format("{}_surrogate", fleet::row_of(quantity).name), *surrogate);
    }

    void add_surrogates(const std::string& name, const surrogate::Surrogate& surrogate) {
        double mape = 0.0;
        double tau = 0.0;
        const auto& errors = surrogate.cross_validation();
        const auto& weight = fleet_.clustering.cluster_weight;
        for (std::size_t k = 0; k < errors.size(); ++k) {
            mape += weight[k] * errors[k].mape;
            tau += weight[k] * errors[k].kendall_tau;
        }
        add(name + "_mape", "1", mape);
        add(name + "_kendall_tau", "1", tau);
    }

    /// Means over the fine-tuned networks, and over the uniform widths of about equal latency.
    void add_finetuned() {
        for (const std::string kind : {"front", "uniform"}) {
            double sum = 0.0;
            double count = 0.0;
            for (const FinetunedNetwork& network : run_.finetuned) {
                if (!network.id.starts_with(kind)) continue;
                sum += network.test_accuracy;
                count += 1.0;
            }
            if (count > 0.0) add("finetuned_test_accuracy_" + kind, "1", sum / count);
        }
    }

    /// The fine-tuned networks as the devices and the test images see them, whichever round or
    /// front they are of: unpruned ÷ the latency at an accuracy drop, linear between networks that
    /// no other one dominates. Nothing where nobody knows how the devices see them.
    void add_finetuned_on_devices() {
        const report::NetworkRow& unpruned = report_.networks.front();
        std::vector<std::pair<double, double>> points{{0.0, 1.0}}; // drop, share of the latency
        for (const report::NetworkRow& row : report_.networks)
            if (row.finetuned && std::isfinite(row.latency_fleet_ms))
                points.emplace_back(std::max(0.0, unpruned.test_accuracy - row.test_accuracy),
                                    row.latency_fleet_ms / unpruned.latency_fleet_ms);
        if (points.size() == 1) return;
        std::ranges::sort(points);
        for (const double budget : accuracy_budgets)
            add("finetuned_speedup_at_drop_" + core::shortest(budget), "1",
                1.0 / latency_at(points, budget));
    }

    /// Of points that ascend by their drop, the first of which has none.
    static double latency_at(const std::vector<std::pair<double, double>>& points, double budget) {
        auto [least_drop, least] = points.front();
        for (const auto& [drop, latency] : points) {
            if (latency >= least) continue;
            if (drop > budget)
                return std::lerp(least, latency, (budget - least_drop) / (drop - least_drop));
            least_drop = drop;
            least = latency;
        }
        return least;
    }

    /// What the rounds chose.
    void add_rounds() {
        if (settings_.rounds == 1) return;
        std::vector<const report::NetworkRow*> rounds;
        for (const report::NetworkRow& row : report_.networks)
            if (row.kind == report::NetworkKind::round) rounds.push_back(&row);
        add("rounds", "1", static_cast<double>(rounds.size()));
        if (rounds.empty()) return;
        add("chosen_speedup", "1", rounds.back()->speedup);
        add("chosen_test_accuracy", "1", rounds.back()->test_accuracy);
        const auto add_series = [&](const std::string& name, const std::string& unit, auto value) {
            results_.rounds.push_back({name, unit, {}});
            for (const report::NetworkRow* row : rounds)
                results_.rounds.back().values.push_back(value(*row));
        };
        for (std::size_t m = 0; m < report_.metrics.size(); ++m)
            add_series(report_.metrics[m].column, report_.metrics[m].unit,
                       [m](const report::NetworkRow& row) { return row.metrics[m]; });
        add_series("latency_fleet_ms", "ms", std::mem_fn(&report::NetworkRow::latency_fleet_ms));
        add_series("speedup", "1", std::mem_fn(&report::NetworkRow::speedup));
        add_series("accuracy", "1", std::mem_fn(&report::NetworkRow::accuracy));
        add_series("test_accuracy", "1", std::mem_fn(&report::NetworkRow::test_accuracy));
    }

    void add_cost(const std::string& name, const std::string& unit, double value) {
        results_.costs.push_back({name, unit, value});
    }

    void add_costs() {
        const search::GenerationCost& sum = run_.inputs.searched;
        std::size_t representatives = 0;
        for (const auto& devices : fleet_.clustering.representatives)
            representatives += devices.size();
        add_cost("search_wall", "s", sum.wall_seconds);
        add_cost("accuracy_time", "s", sum.accuracy_seconds);
        add_cost("accuracies_measured", "1", sum.accuracies_measured);
        add_cost("benchmark_runs", "1",
                 static_cast<double>(fleet_.devices.devices() * fleet_.devices.benchmarks()) *
                     static_cast<double>(settings_.fleet.runs));
        add_cost("profile_runs", "1",
                 static_cast<double>(settings_.profile.candidates * settings_.profile.runs) *
                     static_cast<double>(representatives) *
                     static_cast<double>(settings_.profile.every_round ? run_.round : 1));
    }

    void add_history() {
        std::array<ResultSeries, 7> series{{{"generation", "1", {}},
                                            {"evaluations", "1", {}},
                                            {"front_size", "1", {}},
                                            {"feasible", "1", {}},
                                            {"hypervolume", "1", {}},
                                            {"accuracies_measured", "1", {}},
                                            {"wall", "s", {}}}};
        double measured = 0.0;
        double wall_seconds = 0.0;
        for (std::size_t i = 0; i < found_.history.size(); ++i) {
            const search::GenerationRecord& record = found_.history[i];
            measured += found_.costs[i].accuracies_measured;
            wall_seconds += found_.costs[i].wall_seconds;
            const std::array<double, 7> row{double(record.generation),
                                            double(record.evaluations),
                                            double(record.front_size),
                                            double(record.feasible),
                                            record.hypervolume,
                                            measured,
                                            wall_seconds};
            for (std::size_t s = 0; s < series.size(); ++s)
                series[s].values.push_back(row[s]);
        }
        results_.history.assign(series.begin(), series.end());
    }

    const StudyRun& run_;
    const Settings& settings_;
    const search::SearchProblem& problem_;
    const search::SearchState& found_;
    const FleetOutputs& fleet_;
    const report::StudyReport& report_;
    std::vector<std::size_t> front_;
    Results results_;
};

} // namespace

void ensure_results(const StudyRun& run, const FleetOutputs& fleet,
                    const report::StudyReport& report) {
    const std::filesystem::path file = run.file("results.h5");
    const storage::FileIdentity identity = identity_of(run, Stage::report);
    if (is_up_to_date(file, identity, run.job.log)) return;
    const Results results = ResultsBuilder(run, fleet, report).build();
    write_stage(file, identity, [&](storage::Hdf5Writer& writer) {
        write_results(writer, results);
        // Of what the study began with, in every round: by it ablations tell inputs that changed.
        writer.attribute("/", "content_sha256", run.inputs.accuracy.content_key);
    });
}

} // namespace hdap::study
