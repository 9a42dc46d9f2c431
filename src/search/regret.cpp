#include "hdap/search/regret.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <span>
#include <utility>

namespace hdap::search {
namespace {

using fleet::FleetDistribution;
using network::Genome;

constexpr std::array exchange_rates{1.0, 1.5, 2.5};
constexpr int halvings = 5;
constexpr std::size_t most_counts = 24; ///< of a gene that are tried
constexpr int most_sweeps = 8;
constexpr int resamples = 1000;

/// [blend][cluster] with the clusters that are not `seen` replaced by the first that is.
void replace_unseen(std::vector<double>& blends, std::span<const std::size_t> seen,
                    std::span<const double> unpruned_ms) {
    const std::size_t first = seen.front();
    for (std::size_t row = 0; row < blends.size(); row += unpruned_ms.size())
        for (std::size_t k = 0; k < unpruned_ms.size(); ++k)
            if (std::ranges::find(seen, k) == seen.end())
                blends[row + first] +=
                    std::exchange(blends[row + k], 0.0) * unpruned_ms[k] / unpruned_ms[first];
}

FleetDistribution seen_from(FleetDistribution fleet, std::span<const std::size_t> seen,
                            std::span<const double> unpruned_ms) {
    replace_unseen(fleet.cluster_blend, seen, unpruned_ms);
    replace_unseen(fleet.part_blend, seen, unpruned_ms);
    return fleet;
}

FleetDistribution equally_weighted(FleetDistribution fleet) {
    const double equal = 1.0 / static_cast<double>(fleet.clusters());
    for (std::size_t p = 0; p < fleet.parts(); ++p)
        fleet.part_weight[p] *=
            equal / fleet.cluster_weight[static_cast<std::size_t>(fleet.part_cluster[p])];
    fleet.cluster_weight.assign(fleet.clusters(), equal);
    return fleet;
}

/// The clusters' numbers by descending weight.
std::vector<std::size_t> by_weight(const FleetDistribution& fleet) {
    std::vector<std::size_t> order(fleet.clusters());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, std::ranges::greater{},
                             [&](std::size_t k) { return fleet.cluster_weight[k]; });
    return order;
}

/// A profile of some of the candidates; the first of all, the unpruned one, is always there.
fleet::Profile part_of(const fleet::Profile& profile, std::span<const std::size_t> candidates) {
    fleet::Profile part;
    part.group_names = profile.group_names;
    part.clusters = profile.clusters;
    for (const std::size_t i : candidates)
        part.genomes.push_back(profile.genomes[i]);
    for (std::size_t k = 0; k < profile.clusters; ++k)
        for (const std::size_t i : candidates)
            part.latency_ms.push_back(profile.latency_ms[k * profile.candidates() + i]);
    return part;
}

/// The candidates dealt to two halves; both have the unpruned one.
std::array<std::vector<std::size_t>, 2> halved(std::size_t candidates, std::uint64_t seed,
                                               int halving) {
    core::RandomStream random(seed, core::StreamId::regret, static_cast<std::uint32_t>(halving));
    std::array<std::vector<std::size_t>, 2> halves{{{0}, {0}}};
    const auto order = random.permutation(candidates - 1);
    for (std::size_t i = 0; i < order.size(); ++i)
        halves[i % 2].push_back(order[i] + 1);
    for (auto& half : halves)
        std::ranges::sort(half);
    return halves;
}

/// Chooses networks by what surrogates predict.
class Chooser {
  public:
    Chooser(const RegretTask& task, const surrogate::Surrogate& surrogate)
        : task_(task), surrogate_(surrogate) {}

    /// [genome] log of the figure + rate · pruning_loss.
    [[nodiscard]] std::vector<double> costs(std::span<const Genome> genomes, const Metric& figure,
                                            const FleetDistribution& view, double rate) const {
        const std::size_t clusters = surrogate_.clusters();
        std::vector<double> predicted(genomes.size() * clusters);
        surrogate_.predict(genomes, predicted, 1);
        std::vector<double> costs;
        CandidateFacts facts;
        for (std::size_t i = 0; i < genomes.size(); ++i) {
            const auto row = predicted.begin() + static_cast<std::ptrdiff_t>(i * clusters);
            facts.cluster_latency_ms.assign(row, row + static_cast<std::ptrdiff_t>(clusters));
            costs.push_back(std::log(figure.value(facts, facts, view)) +
                            rate * network::pruning_loss(task_.network.space, genomes[i]));
        }
        return costs;
    }

    /// The best by coordinate descent from a uniform width.
    [[nodiscard]] Genome chosen(const Metric& figure, const FleetDistribution& view,
                                double rate) const {
        Genome genome = task_.network.space.uniform(std::exp(-1.0 / rate));
        for (int sweep = 0; sweep < most_sweeps; ++sweep) {
            const Genome before = genome;
            for (std::size_t g = 0; g < genome.size(); ++g)
                genome = best_count(std::move(genome), g, figure, view, rate);
            if (genome == before) break;
        }
        return genome;
    }

  private:
    [[nodiscard]] Genome best_count(Genome genome, std::size_t group, const Metric& figure,
                                    const FleetDistribution& view, double rate) const {
        const auto counts = task_.network.space.allowed_counts(group);
        const std::size_t tried = std::min(counts.size(), most_counts);
        std::vector<Genome> genomes{std::move(genome)};
        for (std::size_t i = 0; i < tried; ++i) {
            genomes.push_back(genomes.front());
            genomes.back()[group] =
                tried == 1 ? counts[0] : counts[i * (counts.size() - 1) / (tried - 1)];
        }
        const auto values = costs(genomes, figure, view, rate);
        return genomes[static_cast<std::size_t>(std::ranges::min_element(values) - values.begin())];
    }

    const RegretTask& task_;
    const surrogate::Surrogate& surrogate_;
};

/// [view][draw] regrets, a number for each halving, direction and exchange rate.
using DrawRegrets = std::vector<std::vector<std::vector<double>>>;

/// Appends what one objective regrets where networks are chosen by one and judged by another.
void add_regrets(const Chooser& chooser, const Chooser& judge, const Metric& objective,
                 const std::vector<FleetView>& views, int threads, DrawRegrets& regrets) {
    const FleetDistribution& fleet = views.back().draws.front();
    // Where one cluster stands for all, each figure goes with its latency; the mean is quickest.
    const Metric mean = parse_metric("latency.mean");
    std::vector<const FleetDistribution*> draws;
    std::vector<const Metric*> figures;
    for (const FleetView& view : views)
        for (const FleetDistribution& draw : view.draws) {
            draws.push_back(&draw);
            figures.push_back(view.clusters == 1 ? &mean : &objective);
        }
    for (const double rate : exchange_rates) {
        std::vector<Genome> chosen(draws.size());
#pragma omp parallel for schedule(dynamic) num_threads(threads)
        for (std::size_t d = 0; d < draws.size(); ++d)
            chosen[d] = chooser.chosen(*figures[d], *draws[d], rate);
        const auto excess = [&](const FleetDistribution& terms, std::size_t network) {
            const auto costs = judge.costs(chosen, objective, terms, rate);
            return costs[network] - *std::ranges::min_element(costs);
        };
        std::size_t network = 0;
        for (std::size_t v = 0; v < views.size(); ++v)
            for (std::size_t d = 0; d < views[v].draws.size(); ++d, ++network)
                regrets[v][d].push_back(excess(fleet, network) -
                                        excess(views[v].draws[d], network));
    }
}

/// The mean with its bootstrap interval.
Regret regret_of(const std::vector<double>& values, std::uint64_t seed) {
    core::RandomStream random(seed, core::StreamId::regret, halvings);
    std::vector<double> means;
    for (int r = 0; r < resamples; ++r) {
        double sum = 0.0;
        for (std::size_t i = 0; i < values.size(); ++i)
            sum += values[random.below(values.size())];
        means.push_back(sum / static_cast<double>(values.size()));
    }
    std::ranges::sort(means);
    return {.mean = core::mean(values),
            .interval = {core::quantile_of_sorted(means, 0.025),
                         core::quantile_of_sorted(means, 0.975)}};
}

ViewRegret summary_of(const FleetView& view, const std::vector<std::vector<double>>& draws,
                      std::uint64_t seed) {
    std::vector<double> expected(draws.front().size(), 0.0);
    const std::vector<double>* worst = &draws.front();
    for (std::size_t d = 0; d < draws.size(); ++d) {
        for (std::size_t i = 0; i < expected.size(); ++i)
            expected[i] += view.chance[d] * draws[d][i];
        if (core::mean(draws[d]) > core::mean(*worst)) worst = &draws[d];
    }
    return {.kind = view.kind,
            .clusters = view.clusters,
            .regret = regret_of(expected, seed),
            .worst_draw = regret_of(*worst, seed)};
}

} // namespace

std::string_view name_of(ViewKind kind) {
    switch (kind) {
    case ViewKind::one_device:
        return "one_device";
    case ViewKind::largest_clusters:
        return "largest_clusters";
    case ViewKind::equal_weights:
        return "equal_weights";
    case ViewKind::all_clusters:
        break;
    }
    return "all_clusters";
}

std::string text_of(ViewKind kind, std::size_t clusters) {
    if (kind == ViewKind::largest_clusters)
        return clusters == 1 ? "the largest cluster"
                             : fmt::format("the {} largest clusters", clusters);
    std::string text(name_of(kind));
    std::ranges::replace(text, '_', ' ');
    return text;
}

std::vector<FleetView> views_of(const FleetDistribution& fleet,
                                std::span<const double> unpruned_ms) {
    const std::vector<std::size_t> order = by_weight(fleet);
    FleetView one{.kind = ViewKind::one_device, .clusters = 1, .draws = {}, .chance = {}};
    for (std::size_t k = 0; k < fleet.clusters(); ++k) {
        one.draws.push_back(seen_from(fleet, std::array{k}, unpruned_ms));
        one.chance.push_back(fleet.cluster_weight[k]);
    }
    std::vector<FleetView> views{std::move(one)};
    for (std::size_t count = 1; count < fleet.clusters(); count += 1 + count / 8)
        views.push_back({.kind = ViewKind::largest_clusters,
                         .clusters = count,
                         .draws = {seen_from(fleet, std::span(order).first(count), unpruned_ms)},
                         .chance = {1.0}});
    if (fleet.clusters() > 1)
        views.push_back({.kind = ViewKind::equal_weights,
                         .clusters = fleet.clusters(),
                         .draws = {equally_weighted(fleet)},
                         .chance = {1.0}});
    views.push_back({.kind = ViewKind::all_clusters,
                     .clusters = fleet.clusters(),
                     .draws = {fleet},
                     .chance = {1.0}});
    return views;
}

std::vector<ObjectiveRegret> regrets_of(const RegretTask& task) {
    if (task.profile.candidates() < fewest_for_regret)
        throw core::DataError(fmt::format(
            "regret is told from halves of a profile of at least {} candidates, this one has {}",
            fewest_for_regret, task.profile.candidates()));
    std::vector<double> unpruned_ms;
    for (std::size_t k = 0; k < task.profile.clusters; ++k)
        unpruned_ms.push_back(task.profile.unpruned_latency_ms(k));
    const std::vector<FleetView> views = views_of(task.fleet, unpruned_ms);
    std::vector<DrawRegrets> regrets(task.objectives.size());
    for (DrawRegrets& of_objective : regrets)
        for (const FleetView& view : views)
            of_objective.emplace_back(view.draws.size());
    for (int halving = 0; halving < halvings; ++halving) {
        std::array<std::unique_ptr<surrogate::Surrogate>, 2> fitted;
        const auto halves = halved(task.profile.candidates(), task.seed, halving);
        for (std::size_t h = 0; h < halves.size(); ++h)
            fitted[h] = surrogate::fit_surrogate(part_of(task.profile, halves[h]), task.surrogate,
                                                 task.network, task.threads, 0);
        for (std::size_t o = 0; o < task.objectives.size(); ++o)
            for (const std::size_t h : {std::size_t{0}, std::size_t{1}})
                add_regrets({task, *fitted[h]}, {task, *fitted[1 - h]}, task.objectives[o], views,
                            task.threads, regrets[o]);
    }
    std::vector<ObjectiveRegret> summaries;
    for (std::size_t o = 0; o < task.objectives.size(); ++o) {
        ObjectiveRegret& summary = summaries.emplace_back(
            ObjectiveRegret{.objective = task.objectives[o].name(), .views = {}});
        for (std::size_t v = 0; v < views.size(); ++v)
            summary.views.push_back(summary_of(views[v], regrets[o][v], task.seed));
    }
    return summaries;
}

ClusterAgreement agreement_of_clusters(const fleet::Profile& profile) {
    std::vector<double> taus;
    const auto of_cluster = [&](std::size_t k) {
        return std::span(profile.latency_ms)
            .subspan(k * profile.candidates(), profile.candidates());
    };
    for (std::size_t a = 0; a < profile.clusters; ++a)
        for (std::size_t b = a + 1; b < profile.clusters; ++b)
            if (const double tau = core::kendall_tau(of_cluster(a), of_cluster(b));
                !std::isnan(tau))
                taus.push_back(tau);
    if (taus.empty()) return {};
    return {.median = core::quantile(taus, 0.5), .least = core::quantile(taus, 0.0)};
}

} // namespace hdap::search
