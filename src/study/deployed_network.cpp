#include "hdap/study/deployed_network.hpp"

#include "hdap/core/error.hpp"
#include "hdap/search/search_state.hpp"
#include "hdap/study/run_directory.hpp"
#include "hdap/study/settings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>

namespace hdap::study {
namespace {

/// Accuracy that a network may lose to be called close to the unpruned one.
constexpr double small_loss = 0.01;

/// What a study's search has found.
struct FoundFront {
    search::Goal goal;
    search::SearchState state;
    std::vector<std::size_t> entries; ///< of the log, as front.csv numbers them
};

FoundFront front_of(const std::filesystem::path& run_directory) {
    for (const char* const file : {"config.toml", "results.h5", "search.h5"})
        if (!std::filesystem::exists(run_directory / file))
            throw core::UsageError(fmt::format(
                "{} has no {}; a run directory of a complete study of one round is needed",
                run_directory.string(), file));
    const Settings settings = load_settings_file((run_directory / "config.toml").string(), {});
    const search::Goal goal = goal_of(settings);
    const auto metrics = search::study_metrics(goal, evaluator_of(settings) != "none");
    auto state = search::read_search_state(
        open_stage(run_directory / "search.h5", search::search_schema), metrics);
    auto entries = goal.front(state.log);
    if (entries.empty())
        throw core::UsageError(
            fmt::format("the search of {} found no network", run_directory.string()));
    return {goal, std::move(state), std::move(entries)};
}

class LaterFleet {
  public:
    LaterFleet(const FoundFront& found, const fleet::FleetDistribution& now)
        : found_(found), now_(now), mean_(search::parse_metric("latency.mean")) {
        const std::size_t clusters = found.state.reference->cluster_latency_ms.size();
        if (clusters != now.clusters())
            throw core::DataError(fmt::format("the study's search knows {} clusters, the fleet {}",
                                              clusters, now.clusters()));
    }

    [[nodiscard]] double mean_ms(std::size_t place) const { return value_now(entry(place), mean_); }

    [[nodiscard]] double accuracy(std::size_t place) const { return entry(place).accuracy; }

    /// The fastest that loses at most small_loss, or where accuracies are not known, the fastest.
    [[nodiscard]] std::size_t best_then() const {
        std::optional<std::size_t> best;
        for (std::size_t i = 0; i < found_.entries.size(); ++i)
            if (is_close(i) && (!best || then_ms(i) < then_ms(*best))) best = i;
        return best.value_or(most_accurate());
    }

    /// The fastest now of those that are as accurate.
    [[nodiscard]] std::size_t best_now(std::size_t deployed) const {
        std::size_t best = deployed;
        for (std::size_t i = 0; i < found_.entries.size(); ++i)
            if (!(accuracy(i) < accuracy(deployed)) && mean_ms(i) < mean_ms(best)) best = i;
        return best;
    }

    [[nodiscard]] double then_ms(std::size_t place) const {
        return found_.state.log.value(found_.entries[place], mean_);
    }

    [[nodiscard]] std::vector<LaterBound> broken(std::size_t place) const {
        std::vector<LaterBound> broken;
        for (const search::Constraint& constraint : found_.goal.constraints) {
            if (!constraint.metric.follows_from_latencies()) continue;
            const double limit =
                search::limit(constraint, found_.state.log.reference(constraint.metric));
            const double value = value_now(entry(place), constraint.metric);
            if (value > limit) broken.push_back({constraint.text, value, limit});
        }
        return broken;
    }

  private:
    [[nodiscard]] const search::Evaluation& entry(std::size_t place) const {
        return found_.state.log[found_.entries[place]];
    }

    [[nodiscard]] double value_now(const search::Evaluation& of,
                                   const search::Metric& metric) const {
        search::CandidateFacts facts;
        facts.cluster_latency_ms = of.cluster_latency_ms;
        facts.cluster_others = of.cluster_others;
        return metric.value(facts, *found_.state.reference, now_);
    }

    [[nodiscard]] bool is_close(std::size_t place) const {
        const double loss = found_.state.reference->accuracy - accuracy(place);
        return std::isnan(loss) || loss <= small_loss;
    }

    [[nodiscard]] std::size_t most_accurate() const {
        std::size_t best = 0;
        for (std::size_t i = 1; i < found_.entries.size(); ++i)
            if (accuracy(i) > accuracy(best)) best = i;
        return best;
    }

    const FoundFront& found_;
    const fleet::FleetDistribution& now_;
    search::Metric mean_;
};

std::string id_of(std::size_t place) {
    return fmt::format("front-{:02}", place + 1);
}

std::size_t place_of(const FoundFront& found, const std::string& id) {
    for (std::size_t i = 0; i < found.entries.size(); ++i)
        if (id_of(i) == id) return i;
    throw core::UsageError(fmt::format("the front has no network '{}': choose one of {} to {}", id,
                                       id_of(0), id_of(found.entries.size() - 1)));
}

} // namespace

DeployedNetwork deployed_network(const std::filesystem::path& run_directory, const std::string& id,
                                 const fleet::FleetDistribution& now) {
    const FoundFront found = front_of(run_directory);
    const LaterFleet later(found, now);
    const std::size_t deployed = id.empty() ? later.best_then() : place_of(found, id);
    const std::size_t better = later.best_now(deployed);
    return {.id = id_of(deployed),
            .then_ms = later.then_ms(deployed),
            .now_ms = later.mean_ms(deployed),
            .better_id = id_of(better),
            .better_ms = later.mean_ms(better),
            .broken = later.broken(deployed)};
}

} // namespace hdap::study
