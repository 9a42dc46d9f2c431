#include "hdap/search/evaluation_log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "hdap/search/non_dominated_sort.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace hdap::search {

namespace {

/// A figure as a column of the file.
struct Column {
    const char* name;
    const char* unit;
    double CandidateFigures::*member;
    double low;
    double high;
};

constexpr double unlimited = std::numeric_limits<double>::max();

constexpr std::array columns{
    Column{"latency_mean_ms", "ms", &CandidateFigures::latency_mean_ms, 0, unlimited},
    Column{"latency_worst_cluster_ms", "ms", &CandidateFigures::latency_worst_cluster_ms, 0,
           unlimited},
    Column{"accuracy", "1", &CandidateFigures::accuracy, 0, 1},
    Column{"accuracy_drop", "1", &CandidateFigures::accuracy_drop, -1, 1},
    Column{"flops", "MACs", &CandidateFigures::flops, 0, unlimited},
    Column{"params", "parameters", &CandidateFigures::params, 0, unlimited},
    Column{"memory_peak", "elements", &CandidateFigures::memory_peak, 0, unlimited},
};

/// The sizes of a table, [rows][columns].
std::pair<std::size_t, std::size_t> table_shape(const storage::Hdf5Reader& file,
                                                const std::string& path) {
    const storage::Shape shape = file.shape(path);
    if (shape.size() != 2) {
        throw core::DataError(file.name() + ": " + path + " has " + std::to_string(shape.size()) +
                              " dimensions instead of 2");
    }
    return {shape[0], shape[1]};
}

template <class T>
std::vector<T> row_of(const std::vector<T>& table, std::size_t row, std::size_t width) {
    const auto begin = table.begin() + static_cast<std::ptrdiff_t>(row * width);
    return {begin, begin + static_cast<std::ptrdiff_t>(width)};
}

} // namespace

std::size_t EvaluationLog::GenomeHash::operator()(const network::Genome& genome) const noexcept {
    std::uint64_t hash = genome.size();
    for (const std::int32_t channels : genome) {
        // The finaliser of SplitMix64 (Steele et al., OOPSLA 2014) spreads small counts.
        hash = (hash ^ static_cast<std::uint32_t>(channels)) + 0x9e3779b97f4a7c15U;
        hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9U;
        hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebU;
        hash ^= hash >> 31;
    }
    return static_cast<std::size_t>(hash);
}

/// What is wrong with a new entry, or nothing.
std::string EvaluationLog::defect(const Evaluation& evaluation) const {
    if (evaluation.genome.empty()) return "the genome is empty";
    for (const std::int32_t channels : evaluation.genome)
        if (channels < 1) return "a gene is " + std::to_string(channels) + ", not at least 1";
    if (evaluation.generation < 0)
        return "the generation is " + std::to_string(evaluation.generation) + ", not at least 0";
    if (evaluation.given_up_after < 0)
        return "it was given up after " + std::to_string(evaluation.given_up_after) + " images";
    for (const Column& column : columns) {
        const double value = evaluation.figures.*column.member;
        if (!(value >= column.low && value <= column.high))
            return std::string(column.name) + " is " + core::shortest(value) + ", out of range";
    }
    for (const double latency_ms : evaluation.cluster_latency_ms)
        if (!(latency_ms >= 0 && latency_ms <= unlimited))
            return "a cluster_latency_ms is " + core::shortest(latency_ms) + ", out of range";
    if (!empty() && evaluation.genome.size() != evaluations_[0].genome.size()) {
        return "the genome has " + std::to_string(evaluation.genome.size()) + " genes instead of " +
               std::to_string(evaluations_[0].genome.size());
    }
    const std::size_t clusters = evaluation.cluster_latency_ms.size();
    if (!empty() && clusters != evaluations_[0].cluster_latency_ms.size()) {
        return "there are latencies of " + std::to_string(clusters) + " clusters instead of " +
               std::to_string(evaluations_[0].cluster_latency_ms.size());
    }
    const auto known = index_.find(evaluation.genome);
    if (known != index_.end())
        return "the genome is that of entry " + std::to_string(known->second);
    return {};
}

void EvaluationLog::append(Evaluation evaluation) {
    const std::string wrong = defect(evaluation);
    if (!wrong.empty()) {
        throw core::InternalError("evaluation " + std::to_string(size()) +
                                  " does not fit the log: " + wrong);
    }
    index_.emplace(evaluation.genome, evaluations_.size());
    evaluations_.push_back(std::move(evaluation));
}

std::optional<std::size_t> EvaluationLog::index_of(const network::Genome& genome) const {
    const auto known = index_.find(genome);
    if (known == index_.end()) return std::nullopt;
    return known->second;
}

void EvaluationLog::write(storage::Hdf5Writer& file, const std::string& prefix) const {
    std::vector<std::int32_t> genomes;
    std::vector<std::int32_t> generations;
    std::vector<std::int64_t> given_up_after;
    std::vector<double> cluster_latency_ms;
    for (const Evaluation& entry : evaluations_) {
        genomes.insert(genomes.end(), entry.genome.begin(), entry.genome.end());
        generations.push_back(entry.generation);
        given_up_after.push_back(entry.given_up_after);
        cluster_latency_ms.insert(cluster_latency_ms.end(), entry.cluster_latency_ms.begin(),
                                  entry.cluster_latency_ms.end());
    }
    const std::size_t genes = empty() ? 0 : evaluations_[0].genome.size();
    const std::size_t clusters = empty() ? 0 : evaluations_[0].cluster_latency_ms.size();
    file.write(prefix + "/genomes", genomes, {size(), genes});
    file.attribute(prefix + "/genomes", "unit", std::string("channels"));
    file.write(prefix + "/generation", generations);
    file.write(prefix + "/given_up_after", given_up_after);
    file.attribute(prefix + "/given_up_after", "unit", std::string("images"));
    file.write(prefix + "/cluster_latency_ms", cluster_latency_ms, {size(), clusters});
    file.attribute(prefix + "/cluster_latency_ms", "unit", std::string("ms"));
    std::vector<double> values(size());
    for (const Column& column : columns) {
        std::ranges::transform(evaluations_, values.begin(), [&](const Evaluation& entry) {
            return entry.figures.*column.member;
        });
        const std::string path = prefix + "/" + column.name;
        file.write(path, values);
        file.attribute(path, "unit", std::string(column.unit));
    }
}

EvaluationLog EvaluationLog::read(const storage::Hdf5Reader& file, const std::string& prefix) {
    const std::string genomes_path = prefix + "/genomes";
    const std::string clusters_path = prefix + "/cluster_latency_ms";
    const auto [n, genes] = table_shape(file, genomes_path);
    const std::size_t clusters = table_shape(file, clusters_path).second;
    const auto genomes = file.read<std::int32_t>(genomes_path, {n, genes});
    const auto generations = file.read<std::int32_t>(prefix + "/generation", {n});
    // Files of earlier builds have no such column.
    const std::string given_up_path = prefix + "/given_up_after";
    const auto given_up_after = file.contains(given_up_path)
                                    ? file.read<std::int64_t>(given_up_path, {n})
                                    : std::vector<std::int64_t>(n, 0);
    const auto cluster_latency_ms = file.read<double>(clusters_path, {n, clusters});
    std::vector<std::vector<double>> figures;
    for (const Column& column : columns)
        figures.push_back(file.read<double>(prefix + "/" + column.name, {n}));
    EvaluationLog log;
    for (std::size_t i = 0; i < n; ++i) {
        Evaluation entry;
        entry.genome = row_of(genomes, i, genes);
        entry.generation = generations[i];
        entry.given_up_after = given_up_after[i];
        entry.cluster_latency_ms = row_of(cluster_latency_ms, i, clusters);
        for (std::size_t c = 0; c < columns.size(); ++c)
            entry.figures.*columns[c].member = figures[c][i];
        const std::string wrong = log.defect(entry);
        if (!wrong.empty()) {
            throw core::DataError(file.name() + ": row " + std::to_string(i) + " of " + prefix +
                                  ": " + wrong);
        }
        log.append(std::move(entry));
    }
    return log;
}

std::vector<std::size_t> EvaluationLog::front(std::span<const Figure> objectives,
                                              std::span<const Constraint> constraints,
                                              const CandidateFigures& unpruned) const {
    if (objectives.empty()) throw core::InternalError("a front needs an objective");
    const std::size_t m = objectives.size();
    std::vector<std::size_t> feasible;
    std::vector<double> values; // [feasible][m]
    for (std::size_t i = 0; i < size(); ++i) {
        if (total_violation(constraints, evaluations_[i].figures, unpruned) > 0) continue;
        feasible.push_back(i);
        for (const Figure figure : objectives)
            values.push_back(value_of(evaluations_[i].figures, figure));
    }
    const std::vector<std::int32_t> ranks = non_dominated_rank(values, m, {});
    std::vector<std::size_t> front; // into `feasible`
    for (std::size_t i = 0; i < ranks.size(); ++i)
        if (ranks[i] == 0) front.push_back(i);
    const auto row = [&](std::size_t i) { return std::span(values).subspan(i * m, m); };
    std::ranges::stable_sort(front, [&](std::size_t a, std::size_t b) {
        return std::ranges::lexicographical_compare(row(a), row(b));
    });
    const auto repeated = std::ranges::unique(
        front, [&](std::size_t a, std::size_t b) { return std::ranges::equal(row(a), row(b)); });
    front.erase(repeated.begin(), repeated.end());
    std::ranges::transform(front, front.begin(), [&](std::size_t i) { return feasible[i]; });
    return front;
}

} // namespace hdap::search
