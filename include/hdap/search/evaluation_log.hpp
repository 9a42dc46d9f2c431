#pragma once

#include "hdap/network/search_space.hpp"
#include "hdap/search/objectives.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace hdap::search {

/// A candidate that was evaluated.
struct Evaluation {
    network::Genome genome;                 ///< not empty, counts of at least 1
    CandidateFigures figures;               ///< finite
    std::vector<double> cluster_latency_ms; ///< predicted, one per device cluster; may be empty
    std::int32_t generation = 0;            ///< the one that asked for it first; from 0
    /// 0, or after how many images the evaluation was given up; the accuracy is of these.
    std::int64_t given_up_after = 0;
    bool operator==(const Evaluation&) const = default;
};

/// Every candidate ever evaluated, in the order of evaluation. No genome is in it twice.
class EvaluationLog {
  public:
    /// Complexity: O(genes) on average.
    /// Throws InternalError when the genome is there already, a value is out of its range, or the
    /// numbers of genes and clusters differ from those of the first entry.
    void append(Evaluation evaluation);

    [[nodiscard]] std::size_t size() const noexcept { return evaluations_.size(); }
    [[nodiscard]] bool empty() const noexcept { return evaluations_.empty(); }

    /// Entry `i` < size().
    [[nodiscard]] const Evaluation& operator[](std::size_t i) const { return evaluations_[i]; }

    /// The index of the entry of `genome`, if it was evaluated. Complexity: O(genes) on average.
    [[nodiscard]] std::optional<std::size_t> index_of(const network::Genome& genome) const;

    /// Writes the log as columns below `prefix`, e.g. "/log":
    /// genomes int32 [n][genes], generation int32 [n], given_up_after int64 [n], one float64 [n]
    /// per figure with the names of CandidateFigures, cluster_latency_ms float64 [n][clusters].
    /// Those with a unit have it in the attribute `unit`.
    void write(storage::Hdf5Writer& file, const std::string& prefix) const;

    /// Reads what `write` wrote.
    /// Throws DataError, which names the file, the path and the row, when a column is missing, has
    /// another shape, or holds a value that `append` refuses.
    static EvaluationLog read(const storage::Hdf5Reader& file, const std::string& prefix);

    /// The entries that meet all constraints and that no other such entry dominates: indices
    /// sorted by the first objective, then by the others. Of entries with equal objectives only
    /// the first is kept.
    /// @param objectives at least one
    /// @param unpruned the figures that relative constraints refer to
    [[nodiscard]] std::vector<std::size_t> front(std::span<const Figure> objectives,
                                                 std::span<const Constraint> constraints,
                                                 const CandidateFigures& unpruned) const;

  private:
    struct GenomeHash {
        std::size_t operator()(const network::Genome& genome) const noexcept;
    };

    [[nodiscard]] std::string defect(const Evaluation& evaluation) const;

    std::vector<Evaluation> evaluations_;
    // For look-up only: nothing depends on its order.
    std::unordered_map<network::Genome, std::size_t, GenomeHash> index_;
};

} // namespace hdap::search
