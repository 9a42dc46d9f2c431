#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace hdap::search {

/// A candidate that was evaluated.
struct Evaluation {
    network::Genome genome; ///< not empty, counts of at least 1
    /// Share of the images got right, [0, 1]; not a number where nothing measures accuracies.
    double accuracy = std::numeric_limits<double>::quiet_NaN();
    std::vector<double> cluster_latency_ms =
        {}; ///< predicted, one per device cluster; may be empty
    /// The same of other quantities that are predicted, as many of each.
    fleet::OtherQuantities cluster_others = {};
    std::vector<double> values = {}; ///< [metric of the log], each in its range
    std::int32_t generation = 0;     ///< the one that asked for it first; from 0
    /// 0, or after how many images the evaluation was given up; the accuracy is of these.
    std::int64_t given_up_after = 0;
    /// Whether it could not be measured. Its accuracy is 0 then, and no constraint is met.
    bool failed = false;
    bool operator==(const Evaluation&) const = default;
};

/// Every candidate ever evaluated, in the order of evaluation, with its metrics. No genome is in it
/// twice.
class EvaluationLog {
  public:
    /// Of these metrics, distinct ones. Accuracies are logged when one of the metrics needs them;
    /// entries have the other quantities that these need.
    explicit EvaluationLog(std::vector<Metric> metrics);

    [[nodiscard]] const std::vector<Metric>& metrics() const noexcept { return metrics_; }
    [[nodiscard]] bool has_accuracy() const noexcept { return has_accuracy_; }

    /// Sets the metrics of the reference, which relative constraints multiply.
    /// Throws InternalError when their number or range does not fit, or they were set already.
    void set_reference(std::vector<double> values);

    [[nodiscard]] bool has_reference() const noexcept { return !reference_.empty(); }

    /// Complexity: O(genes) on average.
    /// Throws InternalError when the genome is there already, a value is out of its range, or the
    /// numbers of genes and clusters differ from those of the first entry.
    void append(Evaluation evaluation);

    [[nodiscard]] std::size_t size() const noexcept { return evaluations_.size(); }
    [[nodiscard]] bool empty() const noexcept { return evaluations_.empty(); }

    /// Entry `i` < size().
    [[nodiscard]] const Evaluation& operator[](std::size_t i) const { return evaluations_[i]; }

    /// A metric of entry `i` < size(). Throws InternalError for a metric that is not the log's.
    [[nodiscard]] double value(std::size_t i, const Metric& metric) const;

    /// How many entries, from `first` on, failed.
    [[nodiscard]] std::size_t failures(std::size_t first = 0) const;

    /// A metric of the reference. Throws InternalError as `value`, and before set_reference.
    [[nodiscard]] double reference(const Metric& metric) const;

    /// The index of the entry of `genome`, if it was evaluated. Complexity: O(genes) on average.
    [[nodiscard]] std::optional<std::size_t> index_of(const network::Genome& genome) const;

    /// Writes the log as columns below `prefix`, e.g. "/log":
    /// genomes int32 [n][genes], generation int32 [n], cluster_latency_ms float64 [n][clusters],
    /// the like of other quantities where there are some (QuantityRow::cluster_name), one float64
    /// [n] per metric by the name of Metric::column, and with accuracies accuracy float64 [n],
    /// given_up_after int64 [n] and failed int32 [n]. Those with a unit have it in the attribute
    /// `unit`; metrics have the reference's in the attribute `reference`, once it is set.
    void write(storage::Hdf5Writer& file, const std::string& prefix) const;

    /// Reads what the `write` of a log of these metrics wrote.
    /// Throws DataError, which names the file, the path and the row, when a column is missing, has
    /// another shape, or holds a value that `append` or `set_reference` refuses.
    static EvaluationLog read(const storage::Hdf5Reader& file, const std::string& prefix,
                              std::vector<Metric> metrics);

  private:
    struct GenomeHash {
        std::size_t operator()(const network::Genome& genome) const noexcept;
    };

    [[nodiscard]] std::size_t column_of(const Metric& metric) const;
    [[nodiscard]] std::string defect(const Evaluation& evaluation) const;
    [[nodiscard]] std::string latency_defect(const Evaluation& evaluation) const;
    [[nodiscard]] std::string value_defect(const std::vector<double>& values) const;
    [[nodiscard]] std::string size_defect(const Evaluation& evaluation) const;
    void write_others(storage::Hdf5Writer& file, const std::string& prefix,
                      std::size_t clusters) const;
    void write_metrics(storage::Hdf5Writer& file, const std::string& prefix) const;
    void read_reference(const storage::Hdf5Reader& file, const std::string& prefix);

    std::vector<Metric> metrics_;
    bool has_accuracy_;
    std::vector<fleet::Quantity> needs_; ///< other quantities, of one of the metrics
    std::vector<double> reference_;      ///< [metric]; empty before it is set
    std::vector<Evaluation> evaluations_;
    // For look-up only: nothing depends on its order.
    std::unordered_map<network::Genome, std::size_t, GenomeHash> index_;
};

} // namespace hdap::search
