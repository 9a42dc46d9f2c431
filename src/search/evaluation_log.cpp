#include "hdap/search/evaluation_log.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace hdap::search {

namespace {

constexpr double unlimited = std::numeric_limits<double>::max();

/// The sizes of a table, [rows][columns].
std::pair<std::size_t, std::size_t> table_shape(const storage::Hdf5Reader& file,
                                                const std::string& path) {
    const storage::Shape shape = file.shape(path);
    if (shape.size() != 2)
        throw core::DataError(fmt::format("{}: {} has {} instead of 2", file.name(), path,
                                          core::counted(shape.size(), "dimension")));
    return {shape[0], shape[1]};
}

template <class T>
std::vector<T> row_of(const std::vector<T>& table, std::size_t row, std::size_t width) {
    const auto begin = table.begin() + static_cast<std::ptrdiff_t>(row * width);
    return {begin, begin + static_cast<std::ptrdiff_t>(width)};
}

/// Searches of earlier versions ended with the first failure, and have no such column.
std::vector<std::int32_t> read_failed(const storage::Hdf5Reader& file, const std::string& path,
                                      std::size_t rows) {
    if (!file.contains(path)) return std::vector<std::int32_t>(rows, 0);
    return file.read<std::int32_t>(path, {rows});
}

void write_column(storage::Hdf5Writer& file, const std::string& path,
                  const std::vector<double>& values, std::string_view unit) {
    file.write(path, values);
    file.attribute(path, "unit", std::string(unit));
}

std::string path_of(const std::string& prefix, const Metric& metric) {
    return prefix + "/" + metric.column();
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

EvaluationLog::EvaluationLog(std::vector<Metric> metrics)
    : metrics_(std::move(metrics)),
      has_accuracy_(std::ranges::any_of(metrics_, &Metric::needs_accuracy)) {
    for (const fleet::QuantityRow& row : fleet::other_quantities())
        if (std::ranges::find(metrics_, row.quantity, &Metric::quantity) != metrics_.end())
            needs_.push_back(row.quantity);
}

std::size_t EvaluationLog::column_of(const Metric& metric) const {
    const auto found = std::ranges::find(metrics_, metric);
    if (found == metrics_.end())
        throw core::InternalError(fmt::format("the log has no column of {}", metric.name()));
    return static_cast<std::size_t>(found - metrics_.begin());
}

/// What is wrong with the values of the log's metrics, or nothing.
std::string EvaluationLog::value_defect(const std::vector<double>& values) const {
    if (values.size() != metrics_.size())
        return fmt::format("there are {} values of {} metrics", values.size(), metrics_.size());
    for (std::size_t i = 0; i < values.size(); ++i)
        if (!(values[i] >= metrics_[i].lowest() && values[i] <= metrics_[i].highest()))
            return fmt::format("{} is {}, out of range", metrics_[i].column(),
                               core::shortest(values[i]));
    return {};
}

/// What of a new entry does not fit the entries before, or nothing.
std::string EvaluationLog::size_defect(const Evaluation& evaluation) const {
    if (empty()) return {};
    const Evaluation& first = evaluations_[0];
    if (evaluation.genome.size() != first.genome.size())
        return fmt::format("the genome has {} genes instead of {}", evaluation.genome.size(),
                           first.genome.size());
    if (evaluation.cluster_latency_ms.size() != first.cluster_latency_ms.size())
        return fmt::format("there are latencies of {} clusters instead of {}",
                           evaluation.cluster_latency_ms.size(), first.cluster_latency_ms.size());
    for (const fleet::QuantityRow& row : fleet::other_quantities())
        if (evaluation.cluster_others.contains(row.quantity) !=
            first.cluster_others.contains(row.quantity))
            return fmt::format("there are {}{}",
                               evaluation.cluster_others.contains(row.quantity) ? "" : "no ",
                               row.what) +
                   ", unlike in the entries before";
    const auto known = index_.find(evaluation.genome);
    if (known != index_.end()) return fmt::format("the genome is that of entry {}", known->second);
    return {};
}

/// What is wrong with the latencies of a new entry, or nothing.
std::string EvaluationLog::latency_defect(const Evaluation& evaluation) const {
    const auto& usual = evaluation.cluster_latency_ms;
    const auto is_odd = [](double value) { return !(value >= 0 && value <= unlimited); };
    if (const auto ms = std::ranges::find_if(usual, is_odd); ms != usual.end())
        return fmt::format("a cluster_latency_ms is {}, out of range", core::shortest(*ms));
    for (const auto& [quantity, values] : evaluation.cluster_others) {
        const fleet::QuantityRow& row = fleet::row_of(quantity);
        if (const auto value = std::ranges::find_if(values, is_odd); value != values.end())
            return fmt::format("a {} is {}, out of range", row.cluster_name,
                               core::shortest(*value));
        if (values.size() != usual.size())
            return fmt::format("there are {} of {} clusters instead of {}", row.what, values.size(),
                               usual.size());
    }
    for (const fleet::Quantity quantity : needs_)
        if (!evaluation.cluster_others.contains(quantity))
            return fmt::format("there are no {}", fleet::row_of(quantity).what);
    return {};
}

/// What is wrong with a new entry, or nothing.
std::string EvaluationLog::defect(const Evaluation& evaluation) const {
    if (evaluation.genome.empty()) return "the genome is empty";
    for (const std::int32_t channels : evaluation.genome)
        if (channels < 1) return fmt::format("a gene is {}, not at least 1", channels);
    if (evaluation.generation < 0)
        return fmt::format("the generation is {}, not at least 0", evaluation.generation);
    if (evaluation.given_up_after < 0)
        return fmt::format("it was given up after {} images", evaluation.given_up_after);
    const double accuracy = evaluation.accuracy;
    if (has_accuracy_ ? !(accuracy >= 0 && accuracy <= 1) : !std::isnan(accuracy))
        return fmt::format("accuracy is {}, out of range", core::shortest(accuracy));
    if (evaluation.failed && !(accuracy == 0 && evaluation.given_up_after == 0))
        return fmt::format("it failed, and yet has an accuracy of {}", core::shortest(accuracy));
    const std::string odd = latency_defect(evaluation);
    if (!odd.empty()) return odd;
    const std::string wrong = value_defect(evaluation.values);
    return wrong.empty() ? size_defect(evaluation) : wrong;
}

void EvaluationLog::set_reference(std::vector<double> values) {
    const std::string wrong =
        reference_.empty() ? value_defect(values) : "the log has a reference already";
    if (!wrong.empty())
        throw core::InternalError(fmt::format("the reference does not fit the log: {}", wrong));
    reference_ = std::move(values);
}

void EvaluationLog::append(Evaluation evaluation) {
    const std::string wrong = defect(evaluation);
    if (!wrong.empty())
        throw core::InternalError(
            fmt::format("evaluation {} does not fit the log: {}", size(), wrong));
    index_.emplace(evaluation.genome, evaluations_.size());
    evaluations_.push_back(std::move(evaluation));
}

double EvaluationLog::value(std::size_t i, const Metric& metric) const {
    return evaluations_[i].values[column_of(metric)];
}

std::size_t EvaluationLog::failures(std::size_t first) const {
    const auto from = evaluations_.begin() + static_cast<std::ptrdiff_t>(first);
    return static_cast<std::size_t>(
        std::count_if(from, evaluations_.end(), [](const Evaluation& e) { return e.failed; }));
}

double EvaluationLog::reference(const Metric& metric) const {
    const std::size_t column = column_of(metric);
    if (reference_.empty()) throw core::InternalError("the log has no reference yet");
    return reference_[column];
}

std::optional<std::size_t> EvaluationLog::index_of(const network::Genome& genome) const {
    const auto known = index_.find(genome);
    if (known == index_.end()) return std::nullopt;
    return known->second;
}

void EvaluationLog::write(storage::Hdf5Writer& file, const std::string& prefix) const {
    std::vector<std::int32_t> genomes;
    std::vector<std::int32_t> generations;
    std::vector<double> cluster_latency_ms;
    for (const Evaluation& entry : evaluations_) {
        genomes.insert(genomes.end(), entry.genome.begin(), entry.genome.end());
        generations.push_back(entry.generation);
        cluster_latency_ms.insert(cluster_latency_ms.end(), entry.cluster_latency_ms.begin(),
                                  entry.cluster_latency_ms.end());
    }
    const std::size_t genes = empty() ? 0 : evaluations_[0].genome.size();
    const std::size_t clusters = empty() ? 0 : evaluations_[0].cluster_latency_ms.size();
    file.write(prefix + "/genomes", genomes, {size(), genes});
    file.attribute(prefix + "/genomes", "unit", std::string("channels"));
    file.write(prefix + "/generation", generations);
    file.write(prefix + "/cluster_latency_ms", cluster_latency_ms, {size(), clusters});
    file.attribute(prefix + "/cluster_latency_ms", "unit", std::string("ms"));
    write_others(file, prefix, clusters);
    write_metrics(file, prefix);
}

/// What is predicted beside the usual latency.
void EvaluationLog::write_others(storage::Hdf5Writer& file, const std::string& prefix,
                                 std::size_t clusters) const {
    for (const fleet::QuantityRow& row : fleet::other_quantities()) {
        if (empty() || !evaluations_[0].cluster_others.contains(row.quantity)) continue;
        std::vector<double> values;
        for (const Evaluation& entry : evaluations_) {
            const std::vector<double>& of_entry = entry.cluster_others.at(row.quantity);
            values.insert(values.end(), of_entry.begin(), of_entry.end());
        }
        const std::string path = fmt::format("{}/{}", prefix, row.cluster_name);
        file.write(path, values, {size(), clusters});
        file.attribute(path, "unit", std::string(row.unit));
    }
}

/// The columns of the metrics, and of the accuracies where there are any.
void EvaluationLog::write_metrics(storage::Hdf5Writer& file, const std::string& prefix) const {
    std::vector<double> values(size());
    for (std::size_t m = 0; m < metrics_.size(); ++m) {
        std::ranges::transform(evaluations_, values.begin(),
                               [&](const Evaluation& entry) { return entry.values[m]; });
        const std::string path = path_of(prefix, metrics_[m]);
        write_column(file, path, values, metrics_[m].unit());
        if (!reference_.empty()) file.attribute(path, "reference", reference_[m]);
    }
    if (!has_accuracy_) return;
    std::ranges::transform(evaluations_, values.begin(), &Evaluation::accuracy);
    write_column(file, prefix + "/accuracy", values, "1");
    std::vector<std::int64_t> given_up_after(size());
    std::ranges::transform(evaluations_, given_up_after.begin(), &Evaluation::given_up_after);
    file.write(prefix + "/given_up_after", given_up_after);
    file.attribute(prefix + "/given_up_after", "unit", std::string("images"));
    std::vector<std::int32_t> failed(size());
    std::ranges::transform(evaluations_, failed.begin(), &Evaluation::failed);
    file.write(prefix + "/failed", failed);
}

/// The attributes `reference` of the metrics' columns, if the first one has it.
void EvaluationLog::read_reference(const storage::Hdf5Reader& file, const std::string& prefix) {
    if (metrics_.empty() || !file.has_attribute(path_of(prefix, metrics_[0]), "reference")) return;
    std::vector<double> reference;
    for (const Metric& metric : metrics_)
        reference.push_back(file.attribute_double(path_of(prefix, metric), "reference"));
    const std::string wrong = value_defect(reference);
    if (!wrong.empty())
        throw core::DataError(
            fmt::format("{}: the reference of {}: {}", file.name(), prefix, wrong));
    reference_ = std::move(reference);
}

EvaluationLog EvaluationLog::read(const storage::Hdf5Reader& file, const std::string& prefix,
                                  std::vector<Metric> metrics) {
    EvaluationLog log(std::move(metrics));
    const std::string genomes_path = prefix + "/genomes";
    const std::string clusters_path = prefix + "/cluster_latency_ms";
    const auto [n, genes] = table_shape(file, genomes_path);
    const std::size_t clusters = table_shape(file, clusters_path).second;
    const auto genomes = file.read<std::int32_t>(genomes_path, {n, genes});
    const auto generations = file.read<std::int32_t>(prefix + "/generation", {n});
    const auto cluster_latency_ms = file.read<double>(clusters_path, {n, clusters});
    fleet::OtherQuantities others;
    for (const fleet::QuantityRow& row : fleet::other_quantities())
        if (const auto path = fmt::format("{}/{}", prefix, row.cluster_name); file.contains(path))
            others[row.quantity] = file.read<double>(path, {n, clusters});
    std::vector<double> accuracy(n, std::numeric_limits<double>::quiet_NaN());
    std::vector<std::int64_t> given_up_after(n, 0);
    std::vector<std::int32_t> failed(n, 0);
    if (log.has_accuracy_) {
        accuracy = file.read<double>(prefix + "/accuracy", {n});
        given_up_after = file.read<std::int64_t>(prefix + "/given_up_after", {n});
        failed = read_failed(file, prefix + "/failed", n);
    }
    std::vector<std::vector<double>> columns;
    for (const Metric& metric : log.metrics_)
        columns.push_back(file.read<double>(path_of(prefix, metric), {n}));
    log.read_reference(file, prefix);
    for (std::size_t i = 0; i < n; ++i) {
        Evaluation entry{.genome = row_of(genomes, i, genes),
                         .accuracy = accuracy[i],
                         .cluster_latency_ms = row_of(cluster_latency_ms, i, clusters),
                         .cluster_others = {},
                         .values = {},
                         .generation = generations[i],
                         .given_up_after = given_up_after[i],
                         .failed = failed[i] != 0};
        for (const auto& [quantity, values] : others)
            entry.cluster_others[quantity] = row_of(values, i, clusters);
        for (const std::vector<double>& column : columns)
            entry.values.push_back(column[i]);
        const std::string wrong = log.defect(entry);
        if (!wrong.empty())
            throw core::DataError(
                fmt::format("{}: row {} of {}: {}", file.name(), i, prefix, wrong));
        log.append(std::move(entry));
    }
    return log;
}

} // namespace hdap::search
