#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace hdap::fleet {

/// Points of a Euclidean space, row-major; the coordinates belong to someone else.
struct PointView {
    std::span<const double> coordinates; ///< [point][dimension], finite
    std::size_t dimension = 1;

    [[nodiscard]] std::size_t size() const noexcept { return coordinates.size() / dimension; }
    [[nodiscard]] const double* operator[](std::size_t i) const noexcept {
        return coordinates.data() + i * dimension;
    }
};

/// Squared distance, summed in the order of the dimensions. All searches compare this very number,
/// so that they agree to the last bit.
inline double squared_distance(const double* a, const double* b, std::size_t dimension) noexcept {
    double sum = 0.0;
    for (std::size_t d = 0; d < dimension; ++d)
        sum += (a[d] - b[d]) * (a[d] - b[d]);
    return sum;
}

/// A k-d tree over a copy of at least one point. Queries may run concurrently.
class NeighbourIndex {
  public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);

    /// Complexity: O(n log n), parallel.
    explicit NeighbourIndex(PointView points);
    ~NeighbourIndex();
    NeighbourIndex(NeighbourIndex&&) noexcept;
    NeighbourIndex& operator=(NeighbourIndex&&) noexcept;

    /// The point nearest to `query` and no further than `radius` (infinity allowed); of equally
    /// near points the one with the lowest index; `none` when there is none.
    [[nodiscard]] std::size_t nearest(const double* query, double radius) const;

    /// Distance from `query` to its k-th nearest point, 1 ≤ k ≤ size.
    [[nodiscard]] double kth_distance(const double* query, std::size_t k) const;

  private:
    struct Tree;
    std::unique_ptr<Tree> tree_;
};

} // namespace hdap::fleet
