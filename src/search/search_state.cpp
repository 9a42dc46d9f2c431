#include "hdap/search/search_state.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/search/hypervolume.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace hdap::search {

std::vector<std::size_t> current_front(const SearchProblem& problem, const SearchState& state) {
    return problem.goal.front(state.log);
}

double normalised_hypervolume(const SearchProblem& problem, const SearchState& state,
                              std::span<const std::size_t> front) {
    if (!state.reference) throw core::InternalError("a hypervolume needs the reference");
    const std::vector<Metric>& objectives = problem.goal.objectives;
    std::vector<double> worst;
    for (const Metric& metric : objectives)
        worst.push_back(metric.worst(*state.reference, problem.fleet, chance_accuracy(problem)));
    std::vector<double> points;
    for (const std::size_t index : front)
        for (std::size_t m = 0; m < objectives.size(); ++m)
            points.push_back(state.log.value(index, objectives[m]) / worst[m]);
    return hypervolume(points, objectives.size(), std::vector<double>(objectives.size(), 1.0));
}

std::string infeasibility_report(const SearchProblem& problem, const SearchState& state) {
    const EvaluationLog& log = state.log;
    std::size_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < log.size(); ++i) {
        const double miss = problem.goal.violation_of(log, i);
        if (miss < least) {
            least = miss;
            best = i;
        }
    }
    std::string text =
        fmt::format("none of {} meets the constraints{}; the nearest one misses",
                    core::counted(log.size(), "candidate"),
                    log.failures() == 0 ? ""
                                        : fmt::format(" ({} of them could not be measured)",
                                                      core::grouped(log.failures())));
    for (const Constraint& constraint : problem.goal.constraints) {
        const double value = log.value(best, constraint.metric);
        const double miss = violation(constraint, value, log.reference(constraint.metric));
        if (miss > 0.0)
            text += fmt::format(" '{}' by {} % (it has {})", constraint.text,
                                core::significant(100.0 * miss, 3), core::significant(value));
    }
    return text + "; relax the constraint, or search longer (search.generations)";
}

// -------------------------------------------------------------------------------------- storage

namespace {

/// One member of each record, as a column.
template <class T, class Record>
std::vector<T> column_of(const std::vector<Record>& records, T Record::*member) {
    std::vector<T> column;
    for (const Record& record : records)
        column.push_back(record.*member);
    return column;
}

std::string reference_path(const fleet::QuantityRow& row) {
    return fmt::format("/reference/{}", row.cluster_name);
}

void write_reference(storage::Hdf5Writer& file, const CandidateFacts& reference) {
    file.write<double>("/reference/cluster_latency_ms", reference.cluster_latency_ms);
    file.attribute("/reference/cluster_latency_ms", "unit", "ms");
    for (const auto& [quantity, values] : reference.cluster_others) {
        const fleet::QuantityRow& row = fleet::row_of(quantity);
        file.write<double>(reference_path(row), values);
        file.attribute(reference_path(row), "unit", std::string(row.unit));
    }
    const network::NetworkCosts& costs = reference.costs;
    file.attribute("/reference", "macs", costs.macs);
    file.attribute("/reference", "parameters", costs.parameters);
    file.attribute("/reference", "peak_activation_elements", costs.peak_activation_elements);
    if (!std::isnan(reference.accuracy))
        file.attribute("/reference", "accuracy", reference.accuracy);
}

std::optional<CandidateFacts> read_reference(const storage::Hdf5Reader& file) {
    if (!file.contains("/reference")) return std::nullopt;
    CandidateFacts reference;
    reference.cluster_latency_ms = file.read<double>("/reference/cluster_latency_ms");
    for (const fleet::QuantityRow& row : fleet::other_quantities())
        if (file.contains(reference_path(row)))
            reference.cluster_others[row.quantity] = file.read<double>(reference_path(row));
    reference.costs = {.macs = file.attribute_int("/reference", "macs"),
                       .parameters = file.attribute_int("/reference", "parameters"),
                       .peak_activation_elements =
                           file.attribute_int("/reference", "peak_activation_elements")};
    if (file.has_attribute("/reference", "accuracy"))
        reference.accuracy = file.attribute_double("/reference", "accuracy");
    return reference;
}

void write_history(storage::Hdf5Writer& file, const std::vector<GenerationRecord>& history) {
    file.write("/history/generation", column_of(history, &GenerationRecord::generation));
    file.write("/history/evaluations", column_of(history, &GenerationRecord::evaluations));
    file.write("/history/feasible", column_of(history, &GenerationRecord::feasible));
    file.write("/history/front_size", column_of(history, &GenerationRecord::front_size));
    file.write("/history/hypervolume", column_of(history, &GenerationRecord::hypervolume));
}

std::vector<GenerationRecord> read_history(const storage::Hdf5Reader& file) {
    const auto generation = file.read<std::int32_t>("/history/generation");
    const storage::Shape rows{generation.size()};
    const auto evaluations = file.read<std::int32_t>("/history/evaluations", rows);
    const auto feasible = file.read<std::int32_t>("/history/feasible", rows);
    const auto front_size = file.read<std::int32_t>("/history/front_size", rows);
    const auto hypervolumes = file.read<double>("/history/hypervolume", rows);
    std::vector<GenerationRecord> history;
    for (std::size_t i = 0; i < generation.size(); ++i)
        history.push_back(
            {generation[i], evaluations[i], feasible[i], front_size[i], hypervolumes[i]});
    return history;
}

void write_pending(storage::Hdf5Writer& file, const std::vector<PendingAccuracy>& pending,
                   std::size_t genes) {
    std::vector<std::int32_t> genomes;
    std::vector<double> accuracy;
    std::vector<std::int64_t> given_up_after;
    for (const PendingAccuracy& known : pending) {
        genomes.insert(genomes.end(), known.genome.begin(), known.genome.end());
        accuracy.push_back(known.accuracy.value);
        given_up_after.push_back(known.accuracy.given_up_after);
    }
    file.write("/pending/genomes", genomes, {pending.size(), genes});
    file.attribute("/pending/genomes", "unit", "channels");
    file.write("/pending/accuracy", accuracy);
    file.attribute("/pending/accuracy", "unit", "1");
    file.write("/pending/given_up_after", given_up_after);
    file.attribute("/pending/given_up_after", "unit", "images");
}

std::vector<PendingAccuracy> read_pending(const storage::Hdf5Reader& file) {
    const auto accuracy = file.read<double>("/pending/accuracy");
    const auto given_up_after =
        file.read<std::int64_t>("/pending/given_up_after", {accuracy.size()});
    const auto shape = file.shape("/pending/genomes");
    if (shape.size() != 2 || shape[0] != accuracy.size())
        throw core::DataError(
            fmt::format("{}: /pending/genomes and /pending/accuracy disagree", file.name()));
    const auto genomes = file.read<std::int32_t>("/pending/genomes");
    std::vector<PendingAccuracy> pending;
    for (std::size_t i = 0; i < accuracy.size(); ++i) {
        const auto genome = genomes.begin() + static_cast<std::ptrdiff_t>(i * shape[1]);
        pending.push_back({{genome, genome + static_cast<std::ptrdiff_t>(shape[1])},
                           {accuracy[i], given_up_after[i]}});
    }
    return pending;
}

void write_costs(storage::Hdf5Writer& file, const std::vector<GenerationCost>& costs) {
    file.write("/timing/generation_seconds", column_of(costs, &GenerationCost::wall_seconds));
    file.attribute("/timing/generation_seconds", "unit", "s");
    file.write("/timing/accuracy_seconds", column_of(costs, &GenerationCost::accuracy_seconds));
    file.attribute("/timing/accuracy_seconds", "unit", "s");
    file.write("/timing/accuracies_measured",
               column_of(costs, &GenerationCost::accuracies_measured));
}

std::vector<GenerationCost> read_costs(const storage::Hdf5Reader& file) {
    const auto wall = file.read<double>("/timing/generation_seconds");
    const storage::Shape rows{wall.size()};
    const auto accuracy = file.read<double>("/timing/accuracy_seconds", rows);
    const auto measured = file.read<std::int32_t>("/timing/accuracies_measured", rows);
    std::vector<GenerationCost> costs;
    for (std::size_t i = 0; i < wall.size(); ++i)
        costs.push_back({.wall_seconds = wall[i],
                         .accuracy_seconds = accuracy[i],
                         .accuracies_measured = measured[i]});
    return costs;
}

/// Whether both have as many values of the same quantities.
bool alike(const fleet::OtherQuantities& a, const fleet::OtherQuantities& b) {
    return std::ranges::equal(a, b, [](const auto& of_a, const auto& of_b) {
        return of_a.first == of_b.first && of_a.second.size() == of_b.second.size();
    });
}

/// Whether there is a reference, with all that the log's entries have of themselves.
bool reference_fits(const SearchState& state) {
    return state.reference && state.log.has_reference() && !state.log.empty() &&
           state.reference->cluster_latency_ms.size() == state.log[0].cluster_latency_ms.size() &&
           alike(state.reference->cluster_others, state.log[0].cluster_others) &&
           std::isnan(state.reference->accuracy) != state.log.has_accuracy();
}

} // namespace

void write_search_state(storage::Hdf5Writer& file, const SearchState& state, std::size_t genes,
                        const Algorithm& algorithm) {
    state.log.write(file, "/log");
    if (state.reference) write_reference(file, *state.reference);
    write_history(file, state.history);
    write_pending(file, state.pending, genes);
    write_costs(file, state.costs);
    file.attribute("/", "generations_done", state.generations_done);
    algorithm.save(file);
}

SearchState read_search_state(const storage::Hdf5Reader& file, std::vector<Metric> metrics) {
    SearchState state({});
    state.log = EvaluationLog::read(file, "/log", std::move(metrics));
    state.reference = read_reference(file);
    state.history = read_history(file);
    state.pending = read_pending(file);
    state.costs = read_costs(file);
    state.generations_done = file.attribute_int("/", "generations_done");
    const bool begun = state.generations_done > 0;
    if (state.generations_done < 0 ||
        static_cast<std::size_t>(state.generations_done) != state.history.size() ||
        state.costs.size() < state.history.size() || begun == state.log.empty() ||
        (begun && !reference_fits(state)))
        throw core::DataError(fmt::format("{}: generations_done = {} does not fit the history, its "
                                          "times, the reference and the evaluation log",
                                          file.name(), state.generations_done));
    return state;
}

} // namespace hdap::search
